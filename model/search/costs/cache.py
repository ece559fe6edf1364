"""Tables of costs on disk, under a hash of all that they depend on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.model.data.npz import read_arrays
from zeroskip.model.files import save_npz
from zeroskip.model.search.costs.layers import Layer
from zeroskip.model.sources import closure_hash


def _machine() -> tuple[str, ...]:
    """What seconds come from."""
    return (torch.__version__, platform.node(), platform.machine(), platform.processor())


def cached(
    folder: Path | None, key: tuple[Any, Layer, Any], make: Callable[[], NDArray[np.float64]]
) -> NDArray[np.float64]:
    """What `make` gives, from the folder where it is there; `key` is what it depends on, one part of it a layer."""
    if folder is None:
        return make()
    what, layer, axes = key
    facts = (
        what,
        closure_hash("zeroskip.model.search.costs.table") if "cycles" in what[0] else _machine(),
        axes,
        layer.module.extra_repr(),
        layer.bias,
        layer.size,
        layer.positions,
        layer.images,
    )
    digest = hashlib.sha256(repr(facts).encode())
    for array in (layer.weight.numpy(), layer.rows):
        digest.update(repr(array.shape).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    path = folder / f"{what[0]}-{digest.hexdigest()[:24]}.npz"
    if path.exists():
        try:
            return read_arrays(path)["values"]
        except (ValueError, KeyError) as error:
            raise ValueError(f"{path}: is no whole table of costs ({error}); delete it") from error
    values = make()
    save_npz(path, values=values)
    return values
