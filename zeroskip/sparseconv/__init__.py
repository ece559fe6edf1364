"""Sparse convolution on point clouds, with the names, arguments and defaults of torchsparse 2.1.

A network that was written for torchsparse runs on a CPU with `zeroskip.sparseconv` imported in its place:

    import zeroskip.sparseconv as torchsparse
    from zeroskip.sparseconv import nn as spnn
"""

from zeroskip.model.sparseconv.execution import execution
from zeroskip.model.sparseconv.functional import conv, conv3d, find_map
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.operators import cat, from_dense, to_dense
from zeroskip.model.sparseconv.points import PointTensor
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuner import tune, tuning
from zeroskip.model.sparseconv.weights import load_weights
from zeroskip.sparseconv import backbones, backends, int8, nn, spconv, tensor, utils

__version__ = "2.1.0"
"""The version of torchsparse whose names these are."""

__all__ = [
    "KernelMap",
    "PointTensor",
    "SparseTensor",
    "backbones",
    "backends",
    "cat",
    "conv",
    "conv3d",
    "execution",
    "find_map",
    "from_dense",
    "int8",
    "load_weights",
    "nn",
    "spconv",
    "tensor",
    "to_dense",
    "tune",
    "tuning",
    "utils",
]
