"""Helpers for layers, as torchsparse.nn.utils has them."""

from zeroskip.model.sparseconv.lookup import get_kernel_offsets
from zeroskip.model.sparseconv.operators import fapply

__all__ = ["fapply", "get_kernel_offsets"]
