"""Pooling, as torchsparse.nn.modules.pooling has it."""

from zeroskip.model.sparseconv.nn import GlobalAvgPool, GlobalMaxPool

__all__ = ["GlobalAvgPool", "GlobalMaxPool"]
