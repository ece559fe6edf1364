"""Helpers, as torchsparse.utils has them."""

from zeroskip.model.sparseconv.operators import from_dense, to_dense
from zeroskip.model.sparseconv.tuples import make_divisible, make_ntuple, make_tensor
from zeroskip.sparseconv.utils import collate, quantize, tensor_cache, tune, utils

__all__ = [
    "collate",
    "from_dense",
    "make_divisible",
    "make_ntuple",
    "make_tensor",
    "quantize",
    "tensor_cache",
    "to_dense",
    "tune",
    "utils",
]
