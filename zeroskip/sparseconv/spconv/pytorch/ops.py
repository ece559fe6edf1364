"""The names of algorithms, where spconv has them. Its operators of lower level are missing."""

from zeroskip.model.sparseconv.spconv import ConvAlgo

__all__ = ["ConvAlgo"]
