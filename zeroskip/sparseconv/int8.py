"""Sparse convolution in int8: from a float network to vectors that hardware is compared with.

network = int8.quantise(float_network, x)        # x: an example, whose features set the scales
vectors = int8.make_vectors(network, network.quantise_input(x))
int8.save_vectors(vectors, Path("net.safetensors"))   # zeroskip sparseconv net.safetensors
"""

from zeroskip.model.sparseconv.int8 import Requantisation, prune_kernel, to_int8
from zeroskip.model.sparseconv.int8_layers import QuantisedConv, QuantisedNetwork
from zeroskip.model.sparseconv.int8_network import quantise
from zeroskip.model.sparseconv.vectors import LayerVectors, SparseVectors, VectorGeometry, VectorLayer, make_vectors
from zeroskip.model.sparseconv.vectors_file import load as load_vectors
from zeroskip.model.sparseconv.vectors_file import save as save_vectors

__all__ = [
    "LayerVectors",
    "QuantisedConv",
    "QuantisedNetwork",
    "Requantisation",
    "SparseVectors",
    "VectorGeometry",
    "VectorLayer",
    "load_vectors",
    "make_vectors",
    "prune_kernel",
    "quantise",
    "save_vectors",
    "to_int8",
]
