"""Containers of layers, where spconv has them."""

from zeroskip.model.sparseconv.spconv import (
    SparseBatchNorm,
    SparseIdentity,
    SparseModule,
    SparseReLU,
    SparseSequential,
)
from zeroskip.model.sparseconv.spconv.layers import is_sparse_conv
from zeroskip.model.sparseconv.spconv.tensor import is_spconv_module

__all__ = [
    "SparseBatchNorm",
    "SparseIdentity",
    "SparseModule",
    "SparseReLU",
    "SparseSequential",
    "is_sparse_conv",
    "is_spconv_module",
]
