"""Signed fixed-point numbers of a given width: how many fraction bits hold a range of values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.geometry import VALUE_BITS


def most_fraction_bits(top: float, bits: int, headroom: float = 1.0) -> int:
    """Most fraction bits with which a signed number of `bits` bits holds `headroom * top`, for a `top` above zero."""
    return math.floor(math.log2(((1 << (bits - 1)) - 1) / (headroom * top)))


def codebook_fraction(values: NDArray[Any]) -> int:
    """Most fraction bits with which 16 bits hold `values`, of which one at least is not zero."""
    return most_fraction_bits(float(np.abs(values).max()), VALUE_BITS)
