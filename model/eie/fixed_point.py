"""Signed fixed-point numbers of a given width: how many fraction bits hold a range of values."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.geometry import VALUE_BITS
from zeroskip.model.network.magnitudes import LOST_SHARE, Magnitudes

HEADROOM = 2.0
"""Activations and sums may grow by this factor over calibration before anything saturates."""

ONE_FRACTION = VALUE_BITS - 2
"""With this many fraction bits, the constant one is the greatest power of two that an activation holds."""

_FINE = 2.0**-6
"""The greatest activation has at least eight bits with ONE_FRACTION if it is not below this."""


def most_fraction_bits(top: float, bits: int, headroom: float = 1.0) -> int:
    """Most fraction bits with which a signed number of `bits` bits holds `headroom * top`, for a `top` above zero."""
    return math.floor(math.log2(((1 << (bits - 1)) - 1) / (headroom * top)))


def codebook_fraction(values: NDArray[Any]) -> int:
    """Most fraction bits with which 16 bits hold `values`, of which one at least is not zero."""
    return most_fraction_bits(float(np.abs(values).max()), VALUE_BITS)


def activation_fraction(values: Magnitudes) -> int:
    """The fraction bits of activations with these values: HEADROOM is left in 16 bits. More than ONE_FRACTION are
    chosen only where too much would be lost without them, and zeros may have any number."""
    if values.top == 0:
        return ONE_FRACTION
    most = most_fraction_bits(values.top, VALUE_BITS, HEADROOM)
    if most > ONE_FRACTION and values.top >= _FINE and values.share_below(-ONE_FRACTION - 1) <= LOST_SHARE:
        return ONE_FRACTION
    return most
