"""Raw bits of floating-point formats from float32 numbers, and back."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

FLOATS = ("fp32", "fp16", "bf16", "tf32")
"""Formats to and from which numbers are converted."""


def to_raw(values: NDArray[np.float32], form: str) -> NDArray[Any]:
    """Raw bits (uint16 or uint32) of the nearest numbers of the format, ties to even; too large ones are infinite."""
    if form == "fp16":
        with np.errstate(over="ignore"):
            return values.astype(np.float16).view(np.uint16)
    bits = np.ascontiguousarray(values, np.float32).view(np.uint32)
    if form == "fp32":
        return bits
    dropped = {"bf16": 16, "tf32": 13}[form]
    half, odd = np.uint32((1 << (dropped - 1)) - 1), (bits >> np.uint32(dropped)) & np.uint32(1)
    # A carry out of the mantissa gives the next exponent, or infinity. NaN is separate: a carry would destroy it.
    rounded = np.where(np.isnan(values), bits | np.uint32(1 << 22), bits + half + odd) >> np.uint32(dropped)
    return rounded.astype(np.uint16) if form == "bf16" else rounded << np.uint32(dropped)


def from_raw(bits: NDArray[Any], form: str) -> NDArray[np.float32]:
    """The numbers with these raw bits."""
    if form == "fp16":
        return bits.view(np.float16).astype(np.float32)
    if form == "bf16":
        return (bits.astype(np.uint32) << np.uint32(16)).view(np.float32)
    return bits.view(np.float32)
