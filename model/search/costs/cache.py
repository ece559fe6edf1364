"""Cost tables on disk, under a hash of all that they depend on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.model.cores import core_of_cost, costs_module
from zeroskip.model.data.npz import read_arrays
from zeroskip.model.files import save_npz
from zeroskip.model.search.layers import Layer
from zeroskip.model.search.storage.code_version import NOT_MEASURING
from zeroskip.model.sources import closure_hash


def cost_code(cost: str) -> str:
    """A hash of the source files that the values of a cost come from: the cost tables, and those of its core."""
    core = core_of_cost(cost)
    modules = [] if core is None else [costs_module(core.name)]
    return closure_hash("zeroskip.model.search.costs.table", *modules, without=NOT_MEASURING)


def cached(
    folder: Path | None, cost: str, facts: Any, layer: Layer, compute: Callable[[], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The values that `compute` returns for a layer, read from the folder if they are there, and stored in it if not.

    The key is a hash of the layer, of `facts` (by their repr), and of the code that computes the values; for seconds,
    of the machine instead of the code. Raises ValueError if a file in the folder is damaged.
    """
    if folder is None:
        return compute()
    origin = _machine() if core_of_cost(cost) is None else cost_code(cost)
    described = (cost, facts, origin, layer.module.extra_repr(), layer.bias, layer.size, layer.positions, layer.images)
    digest = hashlib.sha256(repr(described).encode())
    for array in (layer.weight.numpy(), layer.rows):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    path = folder / f"{cost}-{digest.hexdigest()[:24]}.npz"
    if path.exists():
        try:
            return read_arrays(path)["values"]
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path}: must be a complete cost table, but: {error}; delete it") from error
    values = compute()
    save_npz(path, values=values)
    return values


def _machine() -> tuple[str, ...]:
    """What measured seconds depend on, beside the layer."""
    return (torch.__version__, platform.node(), platform.machine(), platform.processor())
