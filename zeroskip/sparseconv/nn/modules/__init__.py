"""Layers, as torchsparse.nn.modules has them."""

from zeroskip.model.sparseconv.nn import *  # noqa: F403
from zeroskip.model.sparseconv.nn import __all__ as _layers
from zeroskip.sparseconv.nn.modules import activation, conv, crop, norm, pooling

__all__ = [*_layers, "activation", "conv", "crop", "norm", "pooling"]
