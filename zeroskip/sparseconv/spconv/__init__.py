"""Tensors and layers, as spconv.pytorch has them.

A network that was written for spconv 2 runs on a CPU, training too, with the import changed:

    import zeroskip.sparseconv.spconv as spconv
"""

from zeroskip.model.sparseconv.spconv import *  # noqa: F403
from zeroskip.model.sparseconv.spconv import __all__ as _layers
from zeroskip.sparseconv.spconv import core, modules, pytorch

__all__ = [*_layers, "core", "modules", "pytorch"]
