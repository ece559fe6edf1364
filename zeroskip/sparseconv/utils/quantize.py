"""Quantisation, as torchsparse.utils.quantize has it."""

from zeroskip.model.sparseconv.quantize import sparse_quantize

__all__ = ["sparse_quantize"]
