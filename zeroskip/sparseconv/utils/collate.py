"""Collation, as torchsparse.utils.collate has it."""

from zeroskip.model.sparseconv.collate import sparse_collate, sparse_collate_fn

__all__ = ["sparse_collate", "sparse_collate_fn"]
