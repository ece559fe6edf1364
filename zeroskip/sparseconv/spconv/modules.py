"""Containers of layers."""

from zeroskip.sparseconv.spconv.pytorch.modules import *  # noqa: F403
from zeroskip.sparseconv.spconv.pytorch.modules import __all__ as __all__
