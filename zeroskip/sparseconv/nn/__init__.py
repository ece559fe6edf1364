"""Layers, as torchsparse.nn has them."""

from zeroskip.model.sparseconv.nn import *  # noqa: F403
from zeroskip.sparseconv.nn import functional, modules, utils

__all__ = [*modules.__all__, "functional", "modules", "utils"]
