"""Tensors and layers, where spconv has them."""

from zeroskip.model.sparseconv.spconv import *  # noqa: F403
from zeroskip.model.sparseconv.spconv import __all__ as __all__
