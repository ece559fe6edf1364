"""One layer with shared weights and its input, from an NPZ file made elsewhere."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.data.npz import read_arrays
from zeroskip.model.eie.shared import CODEBOOK_SIZE

REQUIRED = ("codebook", "codes", "activations")


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerFile:
    """`codebook` (float32, 16; entry 0 is zero), `codes` (uint8, outputs x inputs; 0 is a pruned weight), `activations`
    (float32, inputs) and `bias` (float32, outputs) or None."""

    codebook: NDArray[np.float32]
    codes: NDArray[np.uint8]
    activations: NDArray[np.float32]
    bias: NDArray[np.float32] | None


def load_layer(path: Path) -> LayerFile:
    """Reads and checks a layer. Nothing is ever unpickled. Raises FileNotFoundError, or ValueError naming file, key,
    rule and value."""
    arrays = read_arrays(path)
    for name in REQUIRED:
        if name not in arrays:
            raise ValueError(f"{path}: must have the key '{name}', but has {', '.join(arrays) or 'no keys'}")

    codes = arrays["codes"]
    if codes.dtype != np.uint8 or codes.ndim != 2 or codes.size == 0:
        raise ValueError(f"{path}: 'codes' must be uint8 of outputs x inputs, not {codes.dtype} of {codes.shape}")
    if codes.max() >= CODEBOOK_SIZE:
        raise ValueError(f"{path}: 'codes' must be at most {CODEBOOK_SIZE - 1}, not {codes.max()}")
    outputs, inputs = codes.shape
    values = {
        "codebook": _floats(path, "codebook", arrays["codebook"], CODEBOOK_SIZE),
        "activations": _floats(path, "activations", arrays["activations"], inputs),
    }
    bias = _floats(path, "bias", arrays["bias"], outputs) if "bias" in arrays else None
    if values["codebook"][0] != 0:
        raise ValueError(f"{path}: 'codebook' must start with zero, not {values['codebook'][0]}")
    return LayerFile(codes=codes, bias=bias, **values)


def _floats(path: Path, name: str, values: NDArray[Any], length: int) -> NDArray[np.float32]:
    if values.dtype != np.float32 or values.shape != (length,):
        raise ValueError(f"{path}: '{name}' must be float32 of ({length},), not {values.dtype} of {values.shape}")
    if not np.isfinite(values).all():
        where = int(np.argmin(np.isfinite(values)))
        raise ValueError(f"{path}: '{name}' must be finite, not {values[where]} at {where}")
    return values
