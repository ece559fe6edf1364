"""Sums of tensors, where spconv has them."""

from zeroskip.model.sparseconv.spconv.functional import sparse_add

sparse_add_hash_based = sparse_add
"""The same sum, under spconv's other name for it."""

__all__ = ["sparse_add", "sparse_add_hash_based"]
