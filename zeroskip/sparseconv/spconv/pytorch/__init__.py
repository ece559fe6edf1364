"""Tensors and layers, where spconv has them."""

from zeroskip.model.sparseconv.spconv import *  # noqa: F403
from zeroskip.model.sparseconv.spconv import __all__ as _layers
from zeroskip.sparseconv.spconv.pytorch import conv, core, functional, hash, identity, modules, ops, pool, tables, utils

__all__ = [
    *_layers,
    "conv",
    "core",
    "functional",
    "hash",
    "identity",
    "modules",
    "ops",
    "pool",
    "tables",
    "utils",
]
