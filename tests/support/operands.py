"""Numbers that are hard to add up, as raw bits, for the tests of tensor-core arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.numerics import OPERANDS, RESULTS, FloatFormat, IntFormat, raw_type

FORMATS = OPERANDS | RESULTS

KINDS = ("any", "close", "tiny", "huge", "edge", "zeros", "cancel", "special", "lone")
"""What `block_numbers` can make: all bit patterns; sums without much shifting; subnormal numbers; sums around the
largest number; sums around the smallest; mostly zeros of both signs; sums that nearly vanish; NaN and infinities;
single products far below the smallest result, alone or beside one that a trace of them tips over."""


def random_bits(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> NDArray[Any]:
    """Any raw bits of a format."""
    form = FORMATS[name]
    return rng.integers(0, 1 << form.bits, shape, np.uint64).astype(raw_type(form))


def floats(rng: np.random.Generator, name: str, shape: tuple[int, ...], low: int, high: int) -> NDArray[Any]:
    """Numbers of both signs whose exponents lie from `low` to `high`, as far as the format goes; below, subnormal ones.
    Some have mantissas of all zeros or all ones."""
    form = FORMATS[name]
    assert isinstance(form, FloatFormat)
    top = (1 << form.exponent_bits) - 1 - form.infinities
    field = np.clip(rng.integers(low, high + 1, shape) + form.bias, 0, top).astype(np.uint64)
    ones = (1 << form.mantissa_bits) - 1
    mantissa = rng.choice([0, ones, 1], shape).astype(np.uint64)
    free = rng.random(shape) < 0.6
    mantissa[free] = rng.integers(0, ones + 1, int(free.sum()), np.uint64)
    if not form.infinities:
        # All ones would be NaN.
        mantissa[(field == top) & (mantissa == ones)] -= 1
    sign = rng.integers(0, 2, shape, np.uint64)
    bits = ((sign << form.exponent_bits | field) << form.mantissa_bits | mantissa) << form.dropped
    # The multiplier must not see what lies below.
    bits |= rng.integers(0, 1 << form.dropped, shape, np.uint64)
    return bits.astype(raw_type(form))


def _largest(form: FloatFormat | IntFormat) -> int:
    assert isinstance(form, FloatFormat)
    return (1 << form.exponent_bits) - 1 - form.infinities - form.bias


def block_numbers(
    rng: np.random.Generator, dtype: str, out: str, rows: int, length: int, kind: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Operands a, b (rows x length) and addends c (rows) of one of KINDS."""
    form, result = OPERANDS[dtype], RESULTS[out]
    shape = (rows, length)
    if isinstance(form, IntFormat):
        return _integers(rng, dtype, out, shape, kind)
    assert isinstance(result, FloatFormat)
    if kind == "any":
        return random_bits(rng, dtype, shape), random_bits(rng, dtype, shape), random_bits(rng, out, (rows,))
    if kind == "tiny":
        low = 1 - form.bias
        a, b = (floats(rng, dtype, shape, low - 2, low + 1) for _ in range(2))
        return a, b, floats(rng, out, (rows,), -result.bias - 1, 3 - result.bias)
    if kind in ("huge", "edge"):
        # Products of about the largest and the smallest result; unequal factors reach them as well as equal ones.
        # Far below the smallest result, a floor of the exponent decides what is seen of a product.
        middle = _largest(result) - 1 if kind == "huge" else -1 - result.bias - int(rng.integers(0, 27))
        reach = min(_largest(form), form.bias - 1)
        tilt = int(rng.integers(-reach, reach + 1)) // 2
        half = int(np.clip(middle // 2 + tilt, -reach, reach))
        a = floats(rng, dtype, shape, half - 2, half + 2)
        b = floats(rng, dtype, shape, middle - half - 6, middle - half + 2)
        c = floats(rng, out, (rows,), middle - 6, middle + 1)
        if kind == "edge":
            c[rng.random(rows) < 0.6] &= result.sign_bit
        return a, b, c
    if kind == "lone":
        return _lone(rng, dtype, out, shape)
    spread = int(rng.integers(0, 15))
    a, b = (floats(rng, dtype, shape, -spread, spread // 2) for _ in range(2))
    c = floats(rng, out, (rows,), -2 * spread, spread)
    if kind == "zeros":
        for numbers in (a, b, c):
            zero = rng.random(numbers.shape) < 0.6
            numbers[zero] &= numbers.dtype.type(FORMATS[out if numbers is c else dtype].sign_bit)
    elif kind == "cancel":
        half = length // 2
        a[:, half : 2 * half], b[:, half : 2 * half] = a[:, :half] ^ a.dtype.type(form.sign_bit), b[:, :half]
        other = rng.random(a.shape) < 0.1
        a[other] ^= a.dtype.type(1 << form.dropped)
        c[rng.random(rows) < 0.7] = 0
        order = rng.permuted(np.broadcast_to(np.arange(length), shape), axis=1)
        a, b = (np.take_along_axis(x, order, axis=1) for x in (a, b))
    elif kind == "special":
        for numbers, name in ((a, dtype), (b, dtype), (c, out)):
            chosen = rng.random(numbers.shape) < 1 / (2 * length)
            numbers[chosen] = _specials(rng, name, int(chosen.sum()))
            numbers[rng.random(numbers.shape) < 0.1] = 0
    return a, b, c


def _lone(
    rng: np.random.Generator, dtype: str, out: str, shape: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    form, result = OPERANDS[dtype], RESULTS[out]
    assert isinstance(form, FloatFormat)
    assert isinstance(result, FloatFormat)
    a, b = (np.zeros(shape, raw_type(form)) for _ in range(2))
    emin = 1 - form.bias
    lowest, highest = emin - form.mantissa_bits, form.bias - 1

    def power(exponent: int) -> int:
        if exponent < emin:
            return 1 << (exponent - lowest + form.dropped)
        return (exponent + form.bias) << (form.mantissa_bits + form.dropped)

    def put(row: int, place: int, exponent: int) -> None:
        exponent = max(exponent, 2 * lowest)
        one = int(rng.integers(max(lowest, exponent - highest), min(highest, exponent - lowest) + 1))
        a[row, place], b[row, place] = power(one), power(exponent - one)
        if rng.random() < 0.5:
            a[row, place] |= form.sign_bit

    least = 1 - result.bias - result.mantissa_bits
    for row in range(shape[0]):
        places = rng.permutation(shape[1])
        put(row, places[0], least - int(rng.integers(-2, 25)))
        if shape[1] > 1 and rng.random() < 0.5:
            put(row, places[1], least - int(rng.integers(0, 2)))
    return a, b, np.zeros(shape[0], raw_type(result))


def _specials(rng: np.random.Generator, name: str, count: int) -> NDArray[Any]:
    """NaN and infinities, and in formats without infinities the largest numbers."""
    form = FORMATS[name]
    assert isinstance(form, FloatFormat)
    top = ((1 << form.exponent_bits) - 1) << form.mantissa_bits
    ones = (1 << form.mantissa_bits) - 1
    bits = rng.choice([top, top, top | 1, top | ones], count).astype(np.uint64)
    bits |= rng.integers(0, 2, count, np.uint64) << (form.exponent_bits + form.mantissa_bits)
    return (bits << form.dropped).astype(raw_type(form))


def _integers(
    rng: np.random.Generator, dtype: str, out: str, shape: tuple[int, int], kind: str
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    form = OPERANDS[dtype]
    if kind in ("any", "close", "special"):
        return random_bits(rng, dtype, shape), random_bits(rng, dtype, shape), random_bits(rng, out, shape[:1])
    sign = form.sign_bit
    # The numbers furthest from zero, with sums close to the ends of the range.
    a, b = (rng.choice([sign, sign, sign - 1, 0, 1], shape).astype(raw_type(form)) for _ in range(2))
    ends = np.array([0x7FFFFFFF, 0x80000000], np.int64)
    c = rng.choice(ends, shape[0]) + rng.integers(-(shape[1] << 2 * form.bits - 2), 1 << 2 * form.bits, shape[0])
    return a, b, (c & 0xFFFFFFFF).astype(np.uint32)


def hostile(
    rng: np.random.Generator, dtype: str, out: str, rows: int, length: int
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """`rows` sums of all KINDS in turn, a few of each choice of their exponents."""
    parts: list[tuple[NDArray[Any], NDArray[Any], NDArray[Any]]] = []
    while 4 * len(parts) < rows:
        parts.append(block_numbers(rng, dtype, out, 4, length, KINDS[len(parts) % len(KINDS)]))
    order = rng.permutation(rows)
    a, b, c = (np.concatenate(column)[:rows][order] for column in zip(*parts, strict=True))
    return a, b, c
