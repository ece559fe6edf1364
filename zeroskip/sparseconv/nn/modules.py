"""Layers, as torchsparse.nn.modules has them."""

from zeroskip.model.sparseconv.nn import *  # noqa: F403
from zeroskip.model.sparseconv.nn import __all__ as __all__
