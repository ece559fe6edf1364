"""Operands that tell rules of summation apart.

Raw bits throughout. An instance is one instruction: A by its kept values (rows x kept) and codes (rows x groups), B
(k x 8), C (rows x 8).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.format import from_codes
from zeroskip.model.mma.lanes import SHAPES
from zeroskip.model.mma.numerics import OPERANDS, RESULTS, FloatFormat, raw_type
from zeroskip.model.network.pattern import Pattern

from .instructions import COLUMNS, Instruction

Bits = NDArray[Any]
_LEGAL = {"1:2": (0b0100, 0b1110), "2:4": (0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110)}
_UNSORTED = (0b0001, 0b0010, 0b0011, 0b0110, 0b0111, 0b1011)


@dataclass(frozen=True)
class Instances:
    """`count` instances: values (count, rows, kept), codes (count, rows, groups), b (count, k, 8), c (count, rows, 8),
    and the selector of each (count)."""

    values: Bits
    codes: Bits
    b: Bits
    c: Bits
    selectors: Bits


def pattern(instruction: Instruction) -> Pattern:
    """The pattern of A."""
    if not instruction.sparse:
        return Pattern.parse("4:4")
    return SHAPES[instruction.dtype, instruction.k].pattern


def where(instruction: Instruction, instances: Instances) -> NDArray[np.int32]:
    """The row of B that each kept value multiplies, as the multiplexers read the codes (count, rows, kept)."""
    if not instruction.sparse:
        return np.broadcast_to(np.arange(instruction.k, dtype=np.int32), instances.values.shape)
    chosen = pattern(instruction)
    flat = from_codes(
        instances.values.reshape(-1, instruction.kept), instances.codes.reshape(-1, instances.codes.shape[-1]), chosen
    )
    rows = np.arange(flat.groups)[:, None, None] * chosen.group + flat.indices[..., None] * chosen.pair
    rows = rows + np.arange(chosen.pair)
    return rows.reshape(instances.values.shape).astype(np.int32)


def _assemble(rng: np.random.Generator, form: FloatFormat, exponents: Bits) -> Bits:
    """Random signs and mantissas at these exponent fields."""
    m = form.mantissa_bits
    fields = np.clip(exponents, 0, (1 << form.exponent_bits) - 2).astype(np.uint64)
    sign = random_bits(rng, exponents.shape, 1) << np.uint64(form.operand_bits - 1)
    mantissa = random_bits(rng, exponents.shape, m)
    bits = (sign | fields << np.uint64(m) | mantissa) << np.uint64(form.dropped)
    if form.dropped:  # Random below the bits that reach the multiplier: they must be ignored.
        bits |= random_bits(rng, exponents.shape, form.dropped)
    return bits.astype(raw_type(form))


def random_bits(rng: np.random.Generator, shape: tuple[int, ...], bits: int) -> Bits:
    """Random numbers of so many bits, as uint64."""
    return rng.integers(0, 1 << bits, shape, dtype=np.uint64)


def _around(rng: np.random.Generator, shape: tuple[int, ...], low: int, high: int) -> Bits:
    return rng.integers(low, high + 1, shape)


class _Float:
    """Classes of float operands. Each returns values, b, c for shapes (A, B, C)."""

    def __init__(self, rng: np.random.Generator, a: FloatFormat, out: FloatFormat) -> None:
        self.rng, self.a, self.out = rng, a, out

    def _c_around(self, shape: tuple[int, ...], power: int, spread: int) -> Bits:
        exponents = power + self.out.bias + _around(self.rng, shape, -spread, spread)
        c = _assemble(self.rng, self.out, exponents)
        return np.where(self.rng.random(shape) < 0.125, c.dtype.type(0), c)

    def random(self, a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> tuple[Bits, Bits, Bits]:
        bias = self.a.bias
        return (
            _assemble(self.rng, self.a, bias + _around(self.rng, a, -2, 1)),
            _assemble(self.rng, self.a, bias + _around(self.rng, b, -2, 1)),
            self._c_around(c, 1, 4),
        )

    def wide(self, a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> tuple[Bits, Bits, Bits]:
        bias, span = self.a.bias, min(self.a.bias - 1, 12)
        return (
            _assemble(self.rng, self.a, bias + _around(self.rng, a, -span, span // 3)),
            _assemble(self.rng, self.a, bias + _around(self.rng, b, -span, span // 3)),
            self._c_around(c, -span // 2, 14),
        )

    def cancelling(self, a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> tuple[Bits, Bits, Bits]:
        """Neighbours of A are x and -x or nearly so, rows of B nearly equal."""
        bias = self.a.bias
        values = _assemble(self.rng, self.a, bias + _around(self.rng, a, -1, 1))
        one = 1 << self.a.dropped
        sign = values.dtype.type(self.a.sign_bit)
        nudge = (self.rng.integers(0, 2, values[..., 1::2].shape) * one).astype(values.dtype)
        values[..., 1::2] = (values[..., 0::2] ^ sign) ^ nudge
        base = _assemble(self.rng, self.a, bias + _around(self.rng, (*b[:-2], 1, b[-1]), -1, 1))
        column = np.broadcast_to(base, b).copy()
        column ^= (self.rng.integers(0, 4, b) // 3 * one).astype(column.dtype)
        return values, column, self._c_around(c, -self.a.mantissa_bits, 8)

    def subnormal(self, a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> tuple[Bits, Bits, Bits]:
        """Products around the smallest results, or the smallest that there are."""
        bias = self.a.bias
        lowest = 1 - self.out.bias - self.out.mantissa_bits
        power = max(lowest, 2 * (1 - bias - self.a.mantissa_bits))
        field = power + 2 * bias
        low = max(0, min(field // 2, bias))
        return (
            _assemble(self.rng, self.a, low + _around(self.rng, a, -5, 8)),
            _assemble(self.rng, self.a, field - low + _around(self.rng, b, -5, 8)),
            _assemble(self.rng, self.out, _around(self.rng, c, -6, 6)),
        )

    def zero(self, a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> tuple[Bits, Bits, Bits]:
        """Zeros of both signs, and products of both signs far below the smallest result."""
        values, column, addend = self.subnormal(a, b, c)
        rng = self.rng
        share = 0.3
        if self.out.bias + self.out.mantissa_bits > 2 * (self.a.bias + self.a.mantissa_bits) - 2:
            share = 0.02  # Products cannot underflow: only few of them are not zero.
        else:
            low = 2 if self.a.exponent_bits < 8 else 2 * self.a.bias - self.out.bias - self.out.mantissa_bits - 2
            half = low // 2 if self.a.exponent_bits == 8 else 0
            values = _assemble(rng, self.a, half + _around(rng, a, -2, 2))
            column = _assemble(rng, self.a, low - half + _around(rng, b, -4, 2))
        least = self.out.sign_bit | (rng.random(c) < 0.1)
        return self._mostly_zero(values, share), self._mostly_zero(column, 0.8), addend & least.astype(addend.dtype)

    def _mostly_zero(self, x: Bits, share: float) -> Bits:
        """`share` of the numbers; the others become zeros of their sign."""
        return np.where(self.rng.random(x.shape) < share, x, x & x.dtype.type(self.a.sign_bit))

    def large(self, a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> tuple[Bits, Bits, Bits]:
        """Sums around the largest result, or the largest products that there are."""
        top = (1 << self.a.exponent_bits) - 2
        power = min(self.out.bias - 2, 2 * (top - self.a.bias))
        field = power + 2 * self.a.bias
        half = min(top, field // 2)
        return (
            _assemble(self.rng, self.a, half + _around(self.rng, a, -3, 0)),
            _assemble(self.rng, self.a, field - half + _around(self.rng, b, -3, 1)),
            self._c_around(c, power, 4),
        )

    def special(self, a: tuple[int, ...], b: tuple[int, ...], c: tuple[int, ...]) -> tuple[Bits, Bits, Bits]:
        """One value in 64 is NaN, infinite, zero, or the largest; so are values of B that nothing multiplies."""
        values, column, addend = self.random(a, b, c)
        return self._spoiled(values, self.a), self._spoiled(column, self.a), self._spoiled(addend, self.out)

    def _spoiled(self, x: Bits, form: FloatFormat) -> Bits:
        m, top = form.mantissa_bits, (1 << form.exponent_bits) - 1
        if form.infinities:
            words = [top << m, top << m | 1 << (m - 1), top << m | 1, 0, (top << m) - 1]
        else:
            words = [top << m | (1 << m) - 1, top << m | (1 << m) - 2, top << m, 0]
        words += [word | 1 << (form.operand_bits - 1) for word in words]
        chosen = (np.array(words, np.uint64) << np.uint64(form.dropped)).astype(x.dtype)
        hit = self.rng.random(x.shape) < 1 / 64
        return np.where(hit, chosen[self.rng.integers(0, len(chosen), x.shape)], x)


FLOAT_CLASSES = ("random", "wide", "cancelling", "subnormal", "zero", "large", "special", "unsorted", "any code")
INT_CLASSES = ("random", "large", "unsorted", "any code")


def classes(instruction: Instruction) -> tuple[str, ...]:
    """The classes of operands of this instruction; codes that do not increase are for sparse ones that take them."""
    found = FLOAT_CLASSES if instruction.out.startswith("fp") else INT_CLASSES
    if instruction.sparse == "sp":
        return tuple(x for x in found if x != "unsorted" or pattern(instruction).lanes == 2)
    return tuple(x for x in found if x not in ("unsorted", "any code"))


def make(instruction: Instruction, kind: str, count: int, rng: np.random.Generator) -> Instances:
    """`count` instances of a class."""
    chosen, rows, k, kept = pattern(instruction), instruction.rows, instruction.k, instruction.kept
    a, b, c = (count, rows, kept), (count, k, COLUMNS), (count, rows, COLUMNS)
    form, out = OPERANDS[instruction.dtype], RESULTS[instruction.out]
    if isinstance(form, FloatFormat) and isinstance(out, FloatFormat):
        method: Callable[..., tuple[Bits, Bits, Bits]] = getattr(
            _Float(rng, form, out), kind if kind not in ("unsorted", "any code") else "random"
        )
        values, column, addend = method(a, b, c)
    else:
        values, column = (random_bits(rng, shape, form.bits).astype(raw_type(form)) for shape in (a, b))
        addend = random_bits(rng, c, 32).astype(np.uint32)
        if kind == "large":  # Near the ends of int32, so that sums leave it.
            addend = np.where(addend & 1, (1 << 31) - 1 - addend % 5000, (1 << 31) + addend % 5000).astype(np.uint32)
    groups = k // chosen.group
    if not instruction.sparse:
        codes = np.zeros((count, rows, groups), np.uint16)
    else:
        legal = _LEGAL["1:2"] if chosen.halves else _LEGAL["2:4"]
        allowed = {"unsorted": _UNSORTED, "any code": tuple(range(16))}.get(kind, legal)
        codes = np.array(allowed, np.uint16)[rng.integers(0, len(allowed), (count, rows, groups))]
    selectors = np.arange(count) % instruction.selectors
    return Instances(values, codes, column, addend, selectors.astype(np.uint32))
