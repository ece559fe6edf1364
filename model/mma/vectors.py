"""The block rule of zeroskip.model.mma.golden for many columns at once: what networks are computed with.

zeroskip.model.mma.kernels computes one result after the other, and any mode. Here a block is added for `COLUMNS`
columns of B in loops that the compiler turns into vector instructions, for 16-bit and tf32 operands and fp32 results.
What is rare is only marked, and left to the other kernels: operands that are not finite, and results outside of fp32's
normal numbers. Everything in one file, because a cached function does not notice that one in another file has changed.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.kernels import decode
from zeroskip.model.mma.numerics import OPERANDS, BlockRule, FloatFormat, raw_type
from zeroskip.model.parallel import parallel

DTYPES = ("fp16", "bf16", "tf32")
"""Operands whose products have at most 22 bits."""

COLUMNS = 64
"""Columns of B that are computed together: their sums stay in the nearest cache."""

_ZERO, _SPECIAL = -(1 << 12), 1 << 14
"""Exponents of zeros, below all others, and of what is not finite, above all others, even in a product with a zero."""


def matmul(
    values: NDArray[Any], where: NDArray[np.int32], b: NDArray[Any], c: NDArray[np.uint32], dtype: str, rule: BlockRule
) -> tuple[NDArray[np.uint32], NDArray[np.bool_]]:
    """The raw bits of D = A B + C as zeroskip.model.mma.golden.matmul gives them, and which of them another kernel
    must compute."""
    form = OPERANDS[dtype]
    assert isinstance(form, FloatFormat)
    (a_sig, a_exp), (b_sig, b_exp) = _decoded(values, dtype), _decoded(b, dtype)
    results = np.empty(c.shape, np.uint32)
    left = np.zeros(c.shape, np.bool_)
    floor = _ZERO if rule.floor is None else rule.floor
    numbers = (rule.products, rule.fraction_bits, floor, rule.fraction_bits - 2 * form.mantissa_bits)
    # One memory layout, so that numba compiles the kernel once.
    where, c = np.ascontiguousarray(where), np.ascontiguousarray(c)
    add_columns(a_sig, a_exp, b_sig, b_exp, where, c, numbers, results, left)
    return results, left


def _decoded(bits: NDArray[Any], dtype: str) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Significands and exponents of raw bits."""
    form = OPERANDS[dtype]
    assert isinstance(form, FloatFormat)
    significands, exponents = _table(dtype)
    index = bits >> form.dropped if form.dropped else bits
    return significands.take(index), exponents.take(index)


@cache
def _table(dtype: str) -> tuple[NDArray[np.int16], NDArray[np.int16]]:
    """Significand and exponent of each of the format's numbers."""
    form = OPERANDS[dtype]
    assert isinstance(form, FloatFormat)
    every = np.arange(1 << form.operand_bits, dtype=np.uint32) << np.uint32(form.dropped)
    significands, exponents = decode(every.astype(raw_type(form)), form)
    finite = exponents <= form.bias
    exponents = np.where(finite, np.where(significands == 0, _ZERO, exponents), _SPECIAL)
    return significands.astype(np.int16), exponents.astype(np.int16)


@parallel
def add_columns(a_sig, a_exp, b_sig, b_exp, where, c, rule, results, left):
    products, fraction_bits, floor, spare = rule
    rows, kept = a_sig.shape
    columns = c.shape[1]
    for tile in numba.prange((columns + COLUMNS - 1) // COLUMNS):
        first = tile * COLUMNS
        count = min(COLUMNS, columns - first)
        largest: Any = np.empty(count, np.int32)
        total: Any = np.empty(count, np.int64)
        c_sig: Any = np.empty(count, np.int32)
        c_exp: Any = np.empty(count, np.int32)
        real: Any = np.empty(count, np.float64)
        bits = real.view(np.int64)
        odd: Any = np.empty(count, np.int32)
        for row in range(rows):
            for i in range(count):
                word: Any = np.int64(c[row, first + i])
                field = (word >> 23) & 255
                magnitude = (word & 0x7FFFFF) | (0x800000 if field != 0 else 0)
                c_sig[i] = -magnitude if word >> 31 else magnitude
                c_exp[i] = _ZERO if magnitude == 0 else max(field, 1) - 127
                odd[i] = field == 255
            for start in range(0, kept, products):
                stop = min(start + products, kept)
                for i in range(count):
                    largest[i] = max(np.int32(floor), c_exp[i])
                for k in range(start, stop):
                    exponent, j = np.int32(a_exp[row, k]), where[row, k]
                    for i in range(count):
                        largest[i] = max(largest[i], np.int32(exponent + np.int32(b_exp[j, first + i])))
                for i in range(count):
                    # Of c, the bits below the lowest are cut off; it has one or two bits less than the sum.
                    down = np.int32(min(largest[i] - c_exp[i], 31))
                    sign = c_sig[i] >> 31
                    magnitude = ((c_sig[i] ^ sign) - sign) << (fraction_bits - 23)
                    total[i] = ((magnitude >> down) ^ sign) - sign
                for k in range(start, stop):
                    j = where[row, k]
                    significand, exponent = np.int32(a_sig[row, k]) << spare, np.int32(a_exp[row, k])
                    if significand != 0:
                        for i in range(count):
                            product = np.int32(significand * np.int32(b_sig[j, first + i]))
                            # A zero has the lowest exponent, and a significand that is zero.
                            down = np.int32(min(largest[i] - exponent - np.int32(b_exp[j, first + i]), 31))
                            sign = product >> 31
                            total[i] += (((product ^ sign) - sign) >> down ^ sign) - sign
                for i in range(count):
                    # Exact: the sum has less than 53 bits. Its significand is cut off to 24 bits.
                    real[i] = np.float64(total[i])
                for i in range(count):
                    field = (bits[i] >> 52) & 2047
                    significand = ((bits[i] >> 29) & 0x7FFFFF) | 0x800000
                    exponent = field - 1023 + largest[i] - fraction_bits
                    empty = total[i] == 0
                    outside = (not empty) & ((exponent < -126) | (exponent > 127))
                    odd[i] |= outside | (largest[i] > 1 << 10)
                    c_sig[i] = 0 if empty else (-significand if bits[i] < 0 else significand)
                    c_exp[i] = _ZERO if empty else exponent
            for i in range(count):
                field = 0 if c_sig[i] == 0 else c_exp[i] + 127
                magnitude = abs(c_sig[i]) & 0x7FFFFF
                results[row, first + i] = (0x80000000 if c_sig[i] < 0 else 0) | (field << 23) | magnitude
                left[row, first + i] = odd[i] != 0
