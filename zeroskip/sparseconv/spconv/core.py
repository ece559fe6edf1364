"""The tensor, and the names of algorithms, where spconv has them."""

from zeroskip.model.sparseconv.spconv import ConvAlgo, SparseConvTensor

__all__ = ["ConvAlgo", "SparseConvTensor"]
