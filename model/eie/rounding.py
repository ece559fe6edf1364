"""Exact results of the host, rounded to the array's 16-bit activations."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.geometry import VALUE_BITS

VALUE_MAX = (1 << (VALUE_BITS - 1)) - 1
VALUE_MIN = -(1 << (VALUE_BITS - 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class HostRun:
    """`outputs` (int16, images x values) of a stage of the host. Of its `values` exact results that are not zero (after
    the ReLU), `vanished` were rounded to zero and `saturated` did not fit."""

    outputs: NDArray[np.int16]
    values: int
    vanished: int
    saturated: int


def round_half_even(values: NDArray[np.int64], shift: int) -> NDArray[np.int64]:
    """`values / 2**shift`, rounded to the nearest integer, and from the middle between two to the even one."""
    if shift == 0:
        return values
    floor = values >> shift
    rest, half = values - (floor << shift), 1 << (shift - 1)
    up = (rest > half) | ((rest == half) & (floor & 1 == 1))
    nearest: NDArray[np.int64] = floor + up
    return nearest


def rounded_float(values: NDArray[np.float64], fraction: int) -> HostRun:
    """Real numbers as integers of `fraction` fraction bits: saturate16(round_half_even(value * 2**fraction))."""
    nearest = np.rint(np.ldexp(values, fraction))
    held = np.clip(nearest, VALUE_MIN, VALUE_MAX)
    present = int(np.count_nonzero(values))
    return HostRun(
        outputs=held.astype(np.int16),
        values=present,
        vanished=present - int(np.count_nonzero(nearest)),
        saturated=int(np.count_nonzero(held != nearest)),
    )
