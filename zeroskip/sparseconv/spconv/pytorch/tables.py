"""Branches, where spconv has them."""

from zeroskip.model.sparseconv.spconv import AddTable, AddTableMisaligned, ConcatTable, JoinTable

__all__ = ["AddTable", "AddTableMisaligned", "ConcatTable", "JoinTable"]
