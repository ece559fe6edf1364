"""The arithmetic of zeroskip.model.mma.golden as machine code. In one file, because a cached function does not
notice that one in another file has changed."""

from __future__ import annotations

from functools import partial
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.model.parallel import parallel

_INFINITE, _NOT_A_NUMBER = 1 << 20, 1 << 21
"""Exponents of decoded values that are not finite; above all others, and their sum too."""

_INT_MIN, _INT_MAX = np.int64(-(1 << 31)), np.int64((1 << 31) - 1)

_jit = partial(numba.njit, cache=True)


def decode(bits: NDArray[Any], form: FloatFormat) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Significands (signed, with `mantissa_bits` fraction bits) and exponents; the exponent of what is not finite lies
    above all others, the significand of an infinity is +1 or -1."""
    raw = (
        bits.astype(np.int32) >> form.dropped if form.bits < 32 else (bits >> np.uint32(form.dropped)).astype(np.int64)
    )
    low = (1 << form.mantissa_bits) - 1
    top = (1 << form.exponent_bits) - 1
    mantissa, field = raw & low, (raw >> form.mantissa_bits) & top
    significand = np.where(field == 0, mantissa, mantissa | (low + 1))
    exponent = np.maximum(field, 1) - form.bias
    if form.infinities:
        special = field == top
        significand = np.where(special, 1, significand)
        exponent = np.where(special, np.where(mantissa == 0, _INFINITE, _NOT_A_NUMBER), exponent)
    else:
        exponent = np.where((field == top) & (mantissa == low), _NOT_A_NUMBER, exponent)
    negative = (raw >> (form.operand_bits - 1)) & 1 == 1
    return np.where(negative, -significand, significand).astype(np.int32), exponent.astype(np.int32)


@_jit
def _decode_result(bits, half):
    """Significand, exponent and fraction bits of an fp16 or fp32 number, the exponent as `decode` gives it."""
    if half:
        sign, field, mantissa, top, bias, fraction = bits >> 15, (bits >> 10) & 31, bits & 1023, 31, 15, 10
    else:
        sign, field, mantissa, top, bias, fraction = bits >> 31, (bits >> 23) & 255, bits & 0x7FFFFF, 255, 127, 23
    if field == top:
        significand, exponent = 1, (_INFINITE if mantissa == 0 else _NOT_A_NUMBER)
    elif field == 0:
        significand, exponent = mantissa, 1 - bias
    else:
        significand, exponent = mantissa | (1 << fraction), field - bias
    return -significand if sign else significand, exponent, fraction


@_jit
def _bit_length(value):
    """Of a value above zero."""
    length = 1
    for step in (32, 16, 8, 4, 2, 1):
        if value >> step:
            value >>= step
            length += step
    return length


@_jit
def _not_finite(infinity, half):
    """Raw bits of NaN (0) or of an infinity with the sign of `infinity`."""
    if infinity == 0:
        return 0x7FFF if half else 0x7FFFFFFF
    bits = 0x7C00 if half else 0x7F800000
    return bits | ((0x8000 if half else 0x80000000) if infinity < 0 else 0)


@_jit
def _encode(total, unit, half, nearest, dropped, signed):
    """Raw bits of `total * 2**unit`: to nearest even, or cut off, with the lowest `dropped` mantissa bits cleared.
    What becomes zero keeps its sign where `signed`."""
    if total == 0:
        return 0
    magnitude = abs(total)
    fraction, bias = (10, 15) if half else (23, 127)
    exponent = max(_bit_length(magnitude) - 1 + unit, 1 - bias)
    shift = exponent - fraction - unit
    if shift <= 0:
        magnitude <<= -shift
    elif shift > 62:
        magnitude = 0
    else:
        rest = magnitude & ((1 << shift) - 1)
        magnitude >>= shift
        middle = 1 << (shift - 1)
        if nearest and (rest > middle or (rest == middle and magnitude & 1)):
            magnitude += 1
    # A significand of one more bit carries into the exponent, as it should; a subnormal one has no leading bit.
    bits = ((exponent + bias - 1) << fraction) + magnitude
    bits = (bits >> dropped) << dropped
    if bits == 0 and not signed:
        return 0
    limit = 0x7C00 if half else 0x7F800000
    return min(bits, limit) | ((0x8000 if half else 0x80000000) if total < 0 else 0)


@_jit
def _specials(a_sig, a_exp, b_sig, b_exp, order, start, stop, c_sig, c_exp):
    """The result of a block with a value that is not finite: 0 for NaN, else the sign of the infinity."""
    infinity = 0
    if c_exp == _NOT_A_NUMBER:
        return 0
    if c_exp == _INFINITE:
        infinity = c_sig
    for i in range(start, stop):
        j = order[i]
        if a_exp[i] == _NOT_A_NUMBER or b_exp[j] == _NOT_A_NUMBER:
            return 0
        if a_exp[i] == _INFINITE or b_exp[j] == _INFINITE:
            if a_sig[i] == 0 or b_sig[j] == 0:
                return 0
            sign = 1 if (a_sig[i] < 0) == (b_sig[j] < 0) else -1
            if infinity == -sign:
                return 0
            infinity = sign
    return infinity


@parallel
def add_integers(a, b, where, c, paired, block, saturate, result):
    for index in numba.prange(a.shape[0]):
        row = np.int64(index)
        order = where[row % where.shape[0]]
        for column in range(c.shape[1]):
            other = b[row if paired else column]
            total = np.int64(c[row, column])
            for start in range(0, len(order), block):
                for i in range(start, min(start + block, len(order))):
                    total += np.int64(a[row, i]) * other[order[i]]
                if saturate:
                    total = np.int64(min(max(total, _INT_MIN), _INT_MAX))
            result[row, column] = np.uint32(total & 0xFFFFFFFF)


@parallel
def add_blocks(a_sig, a_exp, b_sig, b_exp, where, c, paired, rule, half, result):
    for index in numba.prange(a_sig.shape[0]):
        row = np.int64(index)
        order = where[row % where.shape[0]]
        for column in range(c.shape[1]):
            other = row if paired else column
            bits = np.int64(c[row, column])
            for start in range(0, len(order), rule[0]):
                stop = min(start + rule[0], len(order))
                bits = _block(a_sig[row], a_exp[row], b_sig[other], b_exp[other], order, start, stop, bits, rule, half)
            result[row, column] = bits


@parallel
def add_steps(a_sig, a_exp, b_sig, b_exp, where, c, paired, rule, bounds, half, result):
    """Steps that add from zero, and then c. `bounds` (steps x blocks + 1) are the first products of a step's blocks,
    and the end of its last one."""
    for index in numba.prange(a_sig.shape[0]):
        row = np.int64(index)
        order = where[row % where.shape[0]]
        for column in range(c.shape[1]):
            other = row if paired else column
            total = np.int64(c[row, column])
            for step in range(bounds.shape[0]):
                bits = np.int64(0)
                for block in range(bounds.shape[1] - 1):
                    start, stop = bounds[step, block], bounds[step, block + 1]
                    bits = _block(
                        a_sig[row], a_exp[row], b_sig[other], b_exp[other], order, start, stop, bits, rule, half
                    )
                total = _plus(bits, total, half)
            result[row, column] = total


@_jit
def _plus(x, y, half):
    """Raw bits of the sum of two results, to nearest even (IEEE 754)."""
    x_sig, x_exp, bits = _decode_result(x, half)
    y_sig, y_exp, _ = _decode_result(y, half)
    if x_exp >= _INFINITE or y_exp >= _INFINITE:
        either_nan = x_exp == _NOT_A_NUMBER or y_exp == _NOT_A_NUMBER
        x_infinity, y_infinity = (x_sig if x_exp == _INFINITE else 0), (y_sig if y_exp == _INFINITE else 0)
        total = 0 if either_nan or x_infinity == -y_infinity else x_infinity + y_infinity
        return np.int64(_not_finite(total, half))
    if x_exp < y_exp:
        x_sig, x_exp, y_sig, y_exp = y_sig, y_exp, x_sig, x_exp
    # More places than a result has: below them it only counts whether there is anything.
    places = 30
    shift = places + y_exp - x_exp
    if shift >= 0:
        moved = np.int64(y_sig) << shift
    else:
        magnitude, below = np.int64(abs(y_sig)), min(-shift, 62)
        moved = (magnitude >> below) | (magnitude & ((1 << below) - 1) != 0)
        if y_sig < 0:
            moved = -moved
    total = (np.int64(x_sig) << places) + moved
    if total == 0:
        # Minus zero only from two of them.
        return x & y & (0x8000 if half else 0x80000000)
    return np.int64(_encode(total, x_exp - bits - places, half, True, 0, True))


@_jit
def _block(a_sig, a_exp, b_sig, b_exp, order, start, stop, c, rule, half):
    """One block: raw bits of c plus the products `start` to `stop`."""
    _, fraction_bits, floor, product_bits, dropped, nearest, signed = rule
    c_sig, c_exp, c_bits = _decode_result(c, half)
    largest = max(floor, c_exp) if c_sig != 0 else floor
    finite = c_exp < _INFINITE
    for i in range(start, stop):
        j = order[i]
        exponent = a_exp[i] + b_exp[j]
        if exponent >= _INFINITE // 2:
            finite = False
        elif a_sig[i] != 0 and b_sig[j] != 0:
            largest = max(largest, exponent)
    if not finite:
        return _not_finite(_specials(a_sig, a_exp, b_sig, b_exp, order, start, stop, c_sig, c_exp), half)
    total = _aligned(c_sig, fraction_bits - c_bits + c_exp - largest)
    for i in range(start, stop):
        j = order[i]
        shift = fraction_bits - product_bits + a_exp[i] + b_exp[j] - largest
        total += _aligned(a_sig[i] * b_sig[j], shift)
    return _encode(total, largest - fraction_bits, half, nearest, dropped, signed)


@_jit
def _aligned(significand, shift):
    """The significand moved up by `shift`, or down and cut off toward zero."""
    if significand == 0 or shift < -62:
        return np.int64(0)
    if shift >= 0:
        return np.int64(significand) << shift
    magnitude = np.int64(abs(significand)) >> -shift
    return -magnitude if significand < 0 else magnitude


_LOWEST = -320
"""Exponent of the lowest bit of the exact sum: below the least product of tf32, 2**-272."""
_LIMBS = 20
"""Limbs of 32 bits of the exact sum: up to 2**320, above 2**31 products of the largest bf16 numbers."""


@parallel
def add_exactly(a_sig, a_exp, b_sig, b_exp, where, c, paired, product_bits, half, result):
    for index in numba.prange(a_sig.shape[0]):
        row = np.int64(index)
        order = where[row % where.shape[0]]
        limbs = np.empty(_LIMBS, np.int64)
        for column in range(c.shape[1]):
            other = row if paired else column
            c_sig, c_exp, c_bits = _decode_result(np.int64(c[row, column]), half)
            limbs[:] = 0
            finite = c_exp < _INFINITE
            if finite:
                _deposit(limbs, c_sig, c_exp - c_bits)
            for i in range(len(order)):
                j = order[i]
                exponent = a_exp[row, i] + b_exp[other, j]
                if exponent >= _INFINITE // 2:
                    finite = False
                    break
                _deposit(limbs, a_sig[row, i] * b_sig[other, j], exponent - product_bits)
            if finite:
                result[row, column] = _rounded(limbs, half)
            else:
                infinity = _specials(
                    a_sig[row], a_exp[row], b_sig[other], b_exp[other], order, 0, len(order), c_sig, c_exp
                )
                result[row, column] = _not_finite(infinity, half)


@_jit
def _deposit(limbs, significand, exponent):
    """Adds `significand * 2**exponent`. Carries wait in the upper half of each limb."""
    position = exponent - _LOWEST
    moved = np.int64(significand) << (position & 31)
    limbs[position >> 5] += moved & 0xFFFFFFFF
    limbs[(position >> 5) + 1] += moved >> 32


@_jit
def _rounded(limbs, half):
    """Raw bits of the exact sum, to nearest even; what rounding makes zero keeps its sign (IEEE 754)."""
    for i in range(_LIMBS - 1):
        limbs[i + 1] += limbs[i] >> 32
        limbs[i] &= 0xFFFFFFFF
    sign = -1 if limbs[_LIMBS - 1] < 0 else 1
    if sign < 0:
        carry = 1
        for i in range(_LIMBS - 1):
            carry += ~limbs[i] & 0xFFFFFFFF
            limbs[i] = carry & 0xFFFFFFFF
            carry >>= 32
        limbs[_LIMBS - 1] = ~limbs[_LIMBS - 1] + carry
    top = _LIMBS - 1
    while top > 1 and limbs[top] == 0:
        top -= 1
    # Two limbs hold more than the significand and a rounding bit; lower bits only distinguish more than half from half.
    value = (limbs[top] << 30) | (limbs[top - 1] >> 2)
    sticky = limbs[top - 1] & 3
    for i in range(top - 1):
        sticky |= limbs[i]
    return _encode(sign * (value | (sticky != 0)), 32 * (top - 1) + 2 + _LOWEST, half, True, 0, True)
