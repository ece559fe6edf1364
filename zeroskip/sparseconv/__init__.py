"""Sparse convolution on point clouds, with the names, arguments and defaults of torchsparse 2.1.

A network that was written for torchsparse runs on a CPU with `zeroskip.sparseconv` imported in its place.
"""

from zeroskip.model.sparseconv.execution import execution
from zeroskip.model.sparseconv.functional import conv, conv3d, find_map
from zeroskip.model.sparseconv.kernel import from_dense, from_minkowski, from_spconv
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.tensor import SparseTensor

__all__ = [
    "KernelMap",
    "SparseTensor",
    "conv",
    "conv3d",
    "execution",
    "find_map",
    "from_dense",
    "from_minkowski",
    "from_spconv",
]
