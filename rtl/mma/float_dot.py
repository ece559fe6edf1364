"""The dot-product unit for floating-point numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat, block_rule
from zeroskip.rtl.mma.accumulators import Accumulators
from zeroskip.rtl.mma.floats import fields, leading_zeros
from zeroskip.rtl.mma.timing import Timing, dot_control


@dataclass(frozen=True)
class Products:
    """After stage multiply: the products, and c. One element, or one bit, for each product."""

    significands: list[Signal]
    signs: list[Signal]
    exponents: list[Signal]
    """Sums of biased exponents; 0 if a factor is zero (products of non-zero numbers never have 0)."""
    infinite: Signal
    nan: Signal
    """Whether any product is not a number."""
    c: Signal


@dataclass(frozen=True)
class Ranked:
    """After stage maximum."""

    significands: list[Signal]
    signs: list[Signal]
    exponents: list[Signal]
    largest: Signal
    """The largest exponent."""
    positive: Signal
    """Whether any product is positive infinity."""
    negative: Signal
    nan: Signal
    c: Signal


@dataclass(frozen=True)
class Terms:
    """After stage compare: the products, and as the last term the number to which they are added."""

    significands: list[Signal]
    signs: list[Signal]
    shifts: list[Signal]
    """How many places a term lies below the largest."""


@dataclass(frozen=True)
class Special:
    """What stage compare knows about the result."""

    room: Value
    """Places by which the sum can shift up before its exponent is the smallest of the result's format."""
    not_number: Value
    infinity: Value
    infinity_sign: Value


@dataclass(frozen=True)
class Counted:
    """After stage count: the sum as sign and magnitude."""

    sign: Signal
    magnitude: Signal
    zeros: Signal
    """Zeros above the magnitude's highest one."""
    empty: Signal
    """Whether the sum is zero."""


class FloatDot(wiring.Component):
    """`sum <- sum + a[0] * b[0] + ... + a[k-1] * b[k-1]` by the block rule of the geometry's generation
    (zeroskip.model.mma.golden; the stages perform its steps 1 to 5).

        multiply   exact products, with the sums of the exponents
        maximum    the largest exponent of the products
        compare    take c, or the sum so far; the largest exponent of all; the distance of each term to it
        align      shift each term down, truncating it
        add        the exact sum of the terms
        count      its magnitude, and the zeros above it
        round      normalise, truncate or round, write the sum

    No signal is wider than the rule needs: terms have `fraction_bits + 2` bits, their sum has
    `fraction_bits + ceil(log2(4 k + 2))` bits and a sign.

    Latency: seven cycles from the operands to `d`. Throughput: one block a cycle; a sum can be continued every fifth
    cycle. Nothing moves while `control.en` is low.

    Parameters
    ----------
    geometry : TileGeometry
        With a floating-point format.

    Ports
    -----
    a : array of k operands, in
        A block of a row of A.
    b : array of k operands, in
        The same block of a column of B.
    c : result bits, in
        What the sum begins with, if the block is its first.
    control : dot_control, in
        The tile's signals to all units.
    d : result bits, out
        The sum as it was written last.
    """

    timing = Timing(stages=7, take=2)

    def __init__(self, geometry: TileGeometry) -> None:
        assert isinstance(geometry.operand, FloatFormat)
        assert isinstance(geometry.result, FloatFormat)
        self.geometry = geometry
        self.form, self.result = geometry.operand, geometry.result
        self.rule = block_rule(geometry.generation, geometry.dtype, geometry.out)
        operand = data.ArrayLayout(self.form.operand_bits, geometry.k)
        super().__init__(
            {
                "a": In(operand),
                "b": In(operand),
                "c": In(self.result.bits),
                "control": In(dot_control(self.timing)),
                "d": Out(self.result.bits),
            }
        )
        # A product's exponent is a sum of two biased exponents; all exponents here have that scale.
        self.scale = 2 * self.form.bias
        emin = 1 - self.result.bias
        self.lowest = (emin if self.rule.floor is None else self.rule.floor) + self.scale
        self.magnitude_bits = self.rule.fraction_bits + ceil_log2(4 * geometry.k + 2)
        # Exponent of the magnitude's top bit, relative to the result's smallest exponent, when the largest exponent is
        # zero on our scale. The magnitude is widened at the low end so that it never has to shift down.
        self.room_at_zero = self.magnitude_bits - 1 - self.rule.fraction_bits - self.scale - emin
        widening = max(0, -(self.room_at_zero + self.lowest))
        self.room_at_zero += widening
        self.widened_bits = self.magnitude_bits + widening

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        m.submodules.sums = sums = Accumulators(slots=self.timing.slots, width=self.result.bits)
        products = self._multiply(m)
        ranked = self._maximum(m, products)

        addend = Signal(self.result.bits)
        m.d.comb += [
            sums.read.addr.eq(self.control.take_slot),
            addend.eq(Mux(self.control.first, ranked.c, sums.read.data)),
        ]
        terms, special = self._compare(m, ranked, addend)
        total = self._add(m, self._align(m, terms))
        counted = self._count(m, total)
        # Stage round needs them three stages after stage compare.
        special = Special(**{name: _delay(m, value, name, 3) for name, value in vars(special).items()})

        m.d.comb += [
            sums.write.en.eq(self.control.write),
            sums.write.addr.eq(self.control.write_slot),
            sums.write.data.eq(self._round(m, counted, special)),
        ]
        m.d.sync += self.d.eq(sums.write.data)
        return EnableInserter(self.control.en)(m)

    def _multiply(self, m: Module) -> Products:
        pairs = [(fields(self.a[i], self.form), fields(self.b[i], self.form)) for i in range(self.geometry.k)]
        nan = Cat(x.nan | y.nan | (x.infinite & y.zero) | (x.zero & y.infinite) for x, y in pairs).any()
        return Products(
            significands=_registers(m, (x.significand * y.significand for x, y in pairs), "product"),
            signs=_registers(m, (x.sign ^ y.sign for x, y in pairs), "sign"),
            exponents=_registers(m, (Mux(x.zero | y.zero, 0, x.exponent + y.exponent) for x, y in pairs), "exponent"),
            infinite=_register(m, Cat(x.infinite | y.infinite for x, y in pairs), "infinite"),
            nan=_register(m, nan, "nan"),
            c=_register(m, self.c, "c"),
        )

    def _maximum(self, m: Module, products: Products) -> Ranked:
        signs = Cat(*products.signs)
        return Ranked(
            largest=_register(m, _maximum(m, products.exponents), "largest"),
            significands=_registers(m, products.significands, "product_m"),
            exponents=_registers(m, products.exponents, "exponent_m"),
            positive=_register(m, (products.infinite & ~signs).any(), "positive"),
            negative=_register(m, (products.infinite & signs).any(), "negative"),
            signs=_registers(m, products.signs, "sign_m"),
            nan=_register(m, products.nan, "nan_m"),
            c=_register(m, products.c, "c_m"),
        )

    def _compare(self, m: Module, ranked: Ranked, addend: Signal) -> tuple[Terms, Special]:
        x = fields(addend, self.result)
        exponent_c = x.exponent + Const(self.scale - self.result.bias, signed(12))
        floored = Mux(x.zero, self.lowest, exponent_c)
        largest = ranked.largest
        top = Signal(signed(1 + max(len(largest) + 1, len(floored))))
        m.d.comb += top.eq(Mux((largest == 0) | (floored > largest), floored, largest))
        shift_bits = (self.rule.fraction_bits + 2).bit_length()
        below = (_clamped(top - exponent, shift_bits) for exponent in ranked.exponents)
        shifts = [*_registers(m, below, "shift"), _register(m, _clamped(top - exponent_c, shift_bits), "shift_c")]
        significand_c, sign_c = _register(m, x.significand, "significand_c"), _register(m, x.sign, "sign_c")
        positive = ranked.positive | (x.infinite & ~x.sign)
        negative = ranked.negative | (x.infinite & x.sign)
        special = Special(
            room=_register(m, top + self.room_at_zero, "room"),
            not_number=_register(m, ranked.nan | x.nan | (positive & negative), "not_number"),
            infinity=_register(m, ranked.positive | ranked.negative | x.infinite, "infinity"),
            infinity_sign=_register(m, negative, "infinity_sign"),
        )
        terms = Terms(
            significands=[*_registers(m, ranked.significands, "product_c"), significand_c],
            signs=[*_registers(m, ranked.signs, "sign_c"), sign_c],
            shifts=shifts,
        )
        return terms, special

    def _align(self, m: Module, terms: Terms) -> list[Signal]:
        """The terms in two's complement, and how many of them are negative: minus a term is its complement plus one,
        and the ones are added together with the terms."""
        fractions = [2 * self.form.mantissa_bits] * self.geometry.k + [self.result.mantissa_bits]
        complements = []
        for significand, fraction, shift, sign in zip(
            terms.significands, fractions, terms.shifts, terms.signs, strict=True
        ):
            term = _aligned(significand, fraction, self.rule.fraction_bits, shift)
            complements.append(Cat(term ^ sign.replicate(len(term)), sign).as_signed())
        return [*_registers(m, complements, "term"), _register(m, sum(terms.signs, Const(0)), "ones")]

    def _add(self, m: Module, terms: list[Signal]) -> Signal:
        total = Signal(signed(self.magnitude_bits + 1))
        m.d.sync += total.eq(_sum(terms))
        return total

    def _count(self, m: Module, total: Signal) -> Counted:
        magnitude = Signal(self.magnitude_bits)
        m.d.comb += magnitude.eq(Mux(total[-1], -total, total))
        above = self.widened_bits - self.magnitude_bits
        below = (1 << ceil_log2(self.widened_bits)) - self.widened_bits
        zeros = leading_zeros(m, Cat(Const(0, below), magnitude, Const(0, above)))
        return Counted(
            zeros=_register(m, zeros, "zeros"),
            magnitude=_register(m, Cat(magnitude, Const(0, above)), "magnitude"),
            sign=_register(m, total[-1], "negative_sum"),
            empty=_register(m, ~total.any(), "empty"),
        )

    def _round(self, m: Module, counted: Counted, special: Special) -> Value:
        """The bits of the result."""
        exponent, rounded = self._normalise(m, counted, special.room)
        mantissa_bits = self.result.mantissa_bits
        # The leading bit of the significand adds one to the exponent; subnormal numbers do not have it.
        field = Signal(len(exponent) + 1)
        m.d.comb += field.eq(exponent + rounded[mantissa_bits:])
        highest = (1 << self.result.exponent_bits) - 1
        ones = Const(highest, self.result.exponent_bits)
        sign: Value = counted.sign
        if not self.rule.underflow_keeps_sign:
            sign = counted.sign & (field.any() | rounded[:mantissa_bits].any())
        number = Mux(
            field >= highest,
            Cat(Const(0, mantissa_bits), ones, counted.sign),
            Cat(rounded[:mantissa_bits], field[: self.result.exponent_bits], sign),
        )
        # NaN: all bits are one except the sign.
        not_finite = Cat(special.not_number.replicate(mantissa_bits), ones, special.infinity_sign & ~special.not_number)
        return Mux(special.not_number | special.infinity, not_finite, Mux(counted.empty, 0, number))

    def _normalise(self, m: Module, counted: Counted, room: Value) -> tuple[Signal, Value]:
        """The exponent of the sum, and its significand, rounded, with its leading bit and perhaps a carry above."""
        up = Signal(range(self.widened_bits + 1))
        m.d.comb += up.eq(Mux(counted.zeros > room, room, counted.zeros))
        bits = self.result.mantissa_bits + 1
        spare = max(0, bits + 1 - self.widened_bits)
        normal = Signal(self.widened_bits + spare)
        m.d.comb += normal[spare:].eq(counted.magnitude << up)
        exponent = Signal(len(room) + 1)
        m.d.comb += exponent.eq(room - up)
        significand, rest = normal[-bits:], normal[:-bits]
        if self.geometry.out == "fp16":
            half, below = rest[-1], rest[:-1].any()
            return exponent, significand + (half & (below | significand[0]))
        dropped = self.result.mantissa_bits - self.rule.kept_bits
        return exponent, Cat(Const(0, dropped), significand[dropped:])


def _register(m: Module, value: Value, name: str) -> Signal:
    """The value in the next cycle."""
    copy = Signal.like(value, name=name)
    m.d.sync += copy.eq(value)
    return copy


def _registers(m: Module, values: Any, name: str) -> list[Signal]:
    return [_register(m, value, f"{name}{i}") for i, value in enumerate(values)]


def _delay(m: Module, value: Value, name: str, cycles: int) -> Value:
    for cycle in range(cycles):
        value = _register(m, value, f"{name}_{cycle}")
    return value


def _maximum(m: Module, values: Sequence[Value]) -> Value:
    """The largest, by a tree."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    left = Signal.like(values[0])
    right = Signal.like(values[0])
    m.d.comb += [left.eq(_maximum(m, values[:half])), right.eq(_maximum(m, values[half:]))]
    return Mux(left > right, left, right)


def _sum(values: Sequence[Value]) -> Value:
    """The sum, by a tree."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return _sum(values[:half]) + _sum(values[half:])


def _clamped(distance: Value, bits: int) -> Value:
    """The distance, at most the largest number of `bits` bits. It is not negative where it is used."""
    return distance[:bits] | distance[bits:].any().replicate(bits)


def _aligned(significand: Value, fraction: int, wanted: int, shift: Value) -> Value:
    """A significand with two integer bits and `wanted` fraction bits, moved down by `shift`."""
    short = fraction <= wanted
    wide = Cat(Const(0, wanted - fraction), significand) if short else significand[fraction - wanted :]
    return (wide >> shift)[: wanted + 2]
