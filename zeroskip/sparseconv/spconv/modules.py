"""Containers of layers, where spconv has them."""

from zeroskip.model.sparseconv.spconv import (
    SparseBatchNorm,
    SparseIdentity,
    SparseModule,
    SparseReLU,
    SparseSequential,
)

__all__ = ["SparseBatchNorm", "SparseIdentity", "SparseModule", "SparseReLU", "SparseSequential"]
