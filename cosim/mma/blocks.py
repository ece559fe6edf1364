"""Blocks of products that test the arithmetic of a format: random blocks, and the hard cases of floating point."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat, IntFormat, raw_type

Blocks = tuple[NDArray[Any], NDArray[Any], NDArray[Any]]


def random_blocks(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    """Raw bits of a and b (count x k) and c (count).

    Floats: a seventh each of all bits random; exponents near each other, so that sums cancel and carry; subnormal and
    least exponents; products that cancel in pairs, and c with them; largest exponents, near overflow; a c far from
    the products; and infinities, NaN and zeros among other numbers. Integers: all bits random, and the extremes.
    """
    if isinstance(geometry.operand, IntFormat):
        return _integers(geometry, count, rng)
    assert isinstance(geometry.operand, FloatFormat)
    assert isinstance(geometry.result, FloatFormat)
    kinds = (_any, _near, _least, _cancelling, _largest, _far, _special)
    parts = [
        kind(geometry, len(part), rng) for kind, part in zip(kinds, np.array_split(np.arange(count), 7), strict=True)
    ]
    a, b, c = (np.concatenate(group) for group in zip(*parts, strict=True))
    order = rng.permutation(count)
    return a[order], b[order], c[order]


def _integers(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    form = geometry.operand
    low, high = 1 << (form.bits - 1), (1 << (form.bits - 1)) - 1
    a, b = (rng.integers(0, 1 << form.bits, (count, geometry.k), dtype=raw_type(form)) for _ in range(2))
    c = rng.integers(0, 1 << 32, count, dtype=np.uint32)
    half = count // 2
    # The largest sums, added to a c that is about to wrap or saturate.
    a[:half], b[:half] = (rng.choice(np.array([low, high, 0, 1], raw_type(form)), (half, geometry.k)) for _ in range(2))
    edge = rng.integers(0, 1 << 20, half, dtype=np.uint32)
    c[:half] = np.where(rng.random(half) < 0.5, np.uint32(0x7FFFFFFF) - edge, np.uint32(0x80000000) + edge)
    return a, b, c


def _floats(form: FloatFormat, shape: Any, rng: np.random.Generator, low: Any = None, high: Any = None) -> NDArray[Any]:
    """Random signs and mantissas, exponent fields from `low` to below `high`; all by default."""
    top = 1 << form.exponent_bits
    low = 0 if low is None else np.clip(low, 0, top - 1)
    high = top if high is None else np.clip(high, 1, top)
    field = rng.integers(low, np.maximum(high, np.asarray(low) + 1), shape)
    sign, mantissa = rng.integers(0, 2, shape), rng.integers(0, 1 << form.mantissa_bits, shape)
    # Mantissas of few bits, and all ones, make ties and carries.
    simple = rng.choice([0, 1, 1 << (form.mantissa_bits - 1), (1 << form.mantissa_bits) - 1], shape)
    mantissa = np.where(rng.random(shape) < 0.25, simple, mantissa)
    bits = (((sign << form.exponent_bits) | field) << form.mantissa_bits | mantissa) << form.dropped
    # Bits that the multiplier ignores must not matter: make them random.
    return (bits | rng.integers(0, 1 << form.dropped, shape)).astype(raw_type(form))


def _mode(geometry: TileGeometry) -> tuple[FloatFormat, FloatFormat]:
    assert isinstance(geometry.operand, FloatFormat)
    assert isinstance(geometry.result, FloatFormat)
    return geometry.operand, geometry.result


def _any(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    form, result = _mode(geometry)
    shape = (count, geometry.k)
    return _floats(form, shape, rng), _floats(form, shape, rng), _floats(result, count, rng)


def _near(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    form, result = _mode(geometry)
    shape, bias = (count, geometry.k), form.bias
    spread = rng.integers(1, 4, (count, 1))
    a, b = (_floats(form, shape, rng, bias - spread, bias + spread) for _ in range(2))
    return a, b, _floats(result, count, rng, result.bias - 3, result.bias + 4)


def _least(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    form, result = _mode(geometry)
    shape = (count, geometry.k)
    # Choose b's exponents so that products are near the smallest result.
    widest = rng.integers(1, form.bias + 3, (count, 1))
    a, b = _floats(form, shape, rng, 0, 2), _floats(form, shape, rng, 0, widest)
    # In narrow formats products never reach the smallest results: zeros plus a small c do.
    a[rng.random(count) < 0.2] = 0
    c = _floats(result, count, rng, 0, 3)
    return a, b, np.where(rng.random(count) < 0.5, c, 0).astype(c.dtype)


def _cancelling(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    form, result = _mode(geometry)
    shape, half = (count, geometry.k), geometry.k // 2
    middle = rng.integers(1, 2 * form.bias, (count, 1))
    a, b = (_floats(form, shape, rng, middle - 2, middle + 3) for _ in range(2))
    # Each product has a negative partner; a few partners are off by a bit.
    a[:, half : 2 * half], b[:, half : 2 * half] = a[:, :half], b[:, :half]
    a[:, half : 2 * half] ^= form.sign_bit
    a ^= (rng.random(shape) < 0.05).astype(a.dtype) << form.dropped
    c = _floats(result, count, rng, 0, 2 * result.bias)
    return a, b, np.where(rng.random(count) < 0.5, 0, c).astype(c.dtype)


def _largest(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    form, result = _mode(geometry)
    shape = (count, geometry.k)
    top = (1 << form.exponent_bits) - form.infinities
    # Products around the largest result.
    reach = min(2 * form.bias, result.bias + form.bias)
    a = _floats(form, shape, rng, top - 4, top)
    other = np.clip(reach + rng.integers(-4, 3, shape) - form.bias + 1, 1, top - 1)
    b = _floats(form, shape, rng, other, other + 1)
    largest = (1 << result.exponent_bits) - 1
    return a, b, _floats(result, count, rng, largest - 3, largest)


def _far(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    form, result = _mode(geometry)
    shape = (count, geometry.k)
    middle = rng.integers(form.bias // 2, form.bias + form.bias // 2 + 1, (count, 1))
    a, b = (_floats(form, shape, rng, middle - 3, middle + 4) for _ in range(2))
    # From a c that is truncated away to a c that truncates the products.
    distance = rng.integers(-32, 33, count)
    field = 2 * (middle[:, 0] - form.bias) + distance + result.bias
    return a, b, _floats(result, count, rng, field, field + 1)


def _special(geometry: TileGeometry, count: int, rng: np.random.Generator) -> Blocks:
    form, result = _mode(geometry)
    a, b, c = _any(geometry, count, rng)
    # From one special value in a few blocks to several in each block.
    rate = rng.choice([0.2, 1.0, 4.0], (count, 1)) / geometry.k
    for bits, of in ((a, form), (b, form), (c[:, None], result)):
        top = ((1 << of.exponent_bits) - 1) << (of.mantissa_bits + of.dropped)
        infinity, nan = top, top | ((1 << of.mantissa_bits) - 1) << of.dropped
        drawn = rng.choice(np.array([infinity, infinity, nan, 0]), bits.shape).astype(bits.dtype)
        drawn |= rng.choice(np.array([0, of.sign_bit]), bits.shape).astype(bits.dtype)
        np.copyto(bits, drawn, where=rng.random(bits.shape) < (0.2 if of is result else rate))
    return a, b, c
