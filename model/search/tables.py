"""Tables of costs on disk, under a hash of all that they depend on."""

from __future__ import annotations

import hashlib
import platform
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from model.files import add_files, replacing
from model.search.layers import Layer

MODELS = Path(__file__).parent.parent


@lru_cache
def _models() -> str:
    """The code that cycles come from."""
    digest = hashlib.sha256()
    folders = (MODELS / "cycles", MODELS / "formats")
    add_files(digest, [*sorted(path for folder in folders for path in folder.glob("*.py")), MODELS / "search/cost.py"])
    return digest.hexdigest()


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
        _models() if "cycles" in what[0] else _machine(),
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
    path = folder / f"{what[0]}-{digest.hexdigest()[:24]}.npy"
    shape = tuple(len(axis) for axis in axes)
    try:
        values = np.load(path, allow_pickle=False)
        if values.shape == shape and values.dtype == np.float64 and np.isfinite(values).all() and (values >= 0).all():
            return values
    except (OSError, ValueError, EOFError):
        # Missing or damaged: it is made again, and what is wrong with it does not matter.
        path.unlink(missing_ok=True)
    values = make()
    with replacing(path) as part, part.open("wb") as file:
        np.save(file, values)
    return values
