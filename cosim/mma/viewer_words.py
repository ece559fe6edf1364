"""Words of operands as a waveform holds them, each kept once, and the numbers in them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bits import from_hexadecimal
from zeroskip.model.mma.numerics import FloatFormat, IntFormat


class WordTable:
    """Different words, each with its number: rows of a matrix, and columns, come again and again."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def number(self, bits: int) -> int:
        return self._numbers.setdefault(bits, len(self._numbers))

    def raw(self, count: int, width: int) -> NDArray[np.uint32]:
        """The words (words x count) of `count` fields of `width` bits, the first in the lowest bits."""
        return fields_of(list(self._numbers), count, width)


def fields_of(words: list[int], count: int, width: int) -> NDArray[np.uint32]:
    """Words (words x count) of `count` fields of `width` bits, up to 32, the first in the lowest bits."""
    if not words:
        return np.zeros((0, count), np.uint32)
    bits = from_hexadecimal([b"%x" % word for word in words], count * width)
    weights = np.uint32(1) << np.arange(width, dtype=np.uint32)
    found: NDArray[np.uint32] = (bits.reshape(len(words), count, width) * weights).sum(axis=2, dtype=np.uint32)
    return found


def values_of(raw: NDArray[np.uint32], form: FloatFormat | IntFormat) -> NDArray[Any]:
    """The numbers (float32 or int32) of raw bits as a multiplier or an accumulator holds them, without the bits that
    the format drops. All formats of the tile are exact in these types."""
    if isinstance(form, IntFormat):
        unused = np.uint32(32 - form.bits)
        return (raw << unused).view(np.int32) >> unused.astype(np.int32)
    exponents, mantissas = 1 << form.exponent_bits, 1 << form.mantissa_bits
    exponent = (raw // mantissas % exponents).astype(np.int32)
    fraction = (raw % mantissas).astype(np.float64) / mantissas
    sign = np.where(raw // mantissas // exponents, -1.0, 1.0)
    # A number without the leading one has the exponent of the smallest with it.
    value = np.ldexp(fraction + (exponent > 0), np.maximum(exponent, 1) - form.bias)
    if form.infinities:
        value = np.where(exponent < exponents - 1, value, np.where(fraction, np.nan, np.inf))
    else:
        value = np.where(raw % (exponents * mantissas) < exponents * mantissas - 1, value, np.nan)
    return (sign * value).astype(np.float32)
