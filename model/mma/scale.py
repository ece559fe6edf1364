"""Powers of two that bring a layer's values into the tile's floating-point format."""

from __future__ import annotations

import math

from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.model.network.magnitudes import LOST_SHARE, Magnitudes

_FINE = 4
"""The greatest value must lie this many powers of two above the least normal number; below that, values lose bits."""


def exponent(values: Magnitudes, form: FloatFormat) -> int:
    """The power of two with which values are multiplied before they are rounded to the format: 0, no scaling, unless
    values would become infinite, most of them would lose bits, or too many would become zero. Multiplying is exact.

    The greatest value then has the exponent 14 in fp16, whose largest is 15, and 0 in formats of a wide range.
    """
    if values.top == 0:
        return 0
    infinite = values.top >= math.ldexp(2 - 2.0 ** -(form.mantissa_bits + 1), form.bias)
    coarse = values.top < math.ldexp(1, 1 - form.bias + _FINE)
    lost = values.share_below(-form.bias - form.mantissa_bits) > LOST_SHARE
    if not (infinite or coarse or lost):
        return 0
    wanted = form.bias - 1 if form.exponent_bits < 8 else 0
    scale = wanted + 1 - math.frexp(values.top)[1]
    return scale if infinite else max(scale, 0)
