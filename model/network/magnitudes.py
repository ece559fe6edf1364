"""How large the values of a layer are: what the choice of a number format's scale needs to know of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOST_SHARE = 0.02
"""A format loses too much where this share of a layer's non-zero values becomes zero or saturates."""

_LOWEST, _HIGHEST = -160, 140
"""Exponents that are counted one by one: those of all float32 numbers, and some more."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Magnitudes:
    """`counts` (int64) of non-zero values by exponent, and the greatest magnitude `top`."""

    counts: NDArray[np.int64]
    top: float

    @classmethod
    def of(cls, *arrays: NDArray[Any]) -> Magnitudes:
        """Those of arrays of finite numbers, which may be empty."""
        counts = np.zeros(_HIGHEST - _LOWEST + 1, np.int64)
        top = 0.0
        for values in arrays:
            exponents = np.frexp(values[values != 0])[1]
            counts += np.bincount(np.clip(exponents, _LOWEST, _HIGHEST) - _LOWEST, minlength=len(counts))
            top = max(top, float(np.abs(values).max(initial=0)))
        return cls(counts=counts, top=top)

    def __add__(self, other: Magnitudes) -> Magnitudes:
        return Magnitudes(counts=self.counts + other.counts, top=max(self.top, other.top))

    def share_below(self, exponent: int) -> float:
        """The share of the non-zero values that are below `2**exponent`; 0 if there are none."""
        below = self.counts[: max(0, exponent - _LOWEST + 1)].sum()
        return float(below / max(self.counts.sum(), 1))
