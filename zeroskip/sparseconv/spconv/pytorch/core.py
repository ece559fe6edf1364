"""The tensor, where spconv has it."""

from zeroskip.model.sparseconv.spconv import ConvAlgo, SparseConvTensor

__all__ = ["ConvAlgo", "SparseConvTensor"]
