"""Arrays in the text of a page, and back: little-endian bytes in base64, which JavaScript reads as typed arrays."""

from __future__ import annotations

import base64
from typing import Any

import numpy as np
from numpy.typing import NDArray

TYPES = {
    "u1": "Uint8Array",
    "u2": "Uint16Array",
    "u4": "Uint32Array",
    "i2": "Int16Array",
    "i4": "Int32Array",
    "f4": "Float32Array",
    "f8": "Float64Array",
}
"""The arrays of JavaScript for the types of NumPy."""


def packed(array: NDArray[Any]) -> dict[str, str]:
    """Raises KeyError for a type that JavaScript has no array of."""
    kind = array.dtype.str[1:]
    content = array.astype(f"<{kind}").tobytes()
    return {"type": TYPES[kind], "data": base64.b64encode(content).decode()}


def unpacked(pack: dict[str, str]) -> NDArray[Any]:
    """The array in one dimension."""
    kind = next(kind for kind, name in TYPES.items() if name == pack["type"])
    return np.frombuffer(base64.b64decode(pack["data"]), f"<{kind}")
