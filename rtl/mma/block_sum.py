"""The block rule of zeroskip.model.mma.golden as a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.utils import ceil_log2

from zeroskip.model.mma.numerics import BlockRule, FloatFormat
from zeroskip.rtl.mma.floats import fields
from zeroskip.rtl.mma.pipeline import delay, register, registers
from zeroskip.rtl.mma.rounding import Rounding, Special


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


class BlockSum:
    """Adds one block of products to a number, in seven stages, which perform the rule's steps 1 to 4:

        multiply   exact products, with the sums of the exponents
        maximum    the largest exponent of the products
        compare    take the number; the largest exponent of all; the distance of each term to it
        align      shift each term down, truncating it
        add        the exact sum of the terms
        count      its magnitude, and the zeros above it
        round      normalise, truncate or round

    No signal is wider than the rule needs: terms have `fraction_bits + 2` bits, their sum has
    `fraction_bits + ceil(log2(4 products + 2))` bits and a sign.
    """

    STAGES = 7
    TAKE = 2
    """The stage in which the number is taken, counted from 0."""

    def __init__(self, form: FloatFormat, result: FloatFormat, rule: BlockRule) -> None:
        self.form, self.result, self.rule = form, result, rule
        # A product's exponent is a sum of two biased exponents; all exponents here have that scale.
        self.scale = 2 * self.form.bias
        emin = 1 - self.result.bias
        self.lowest = (emin if self.rule.floor is None else self.rule.floor) + self.scale
        self.magnitude_bits = self.rule.fraction_bits + ceil_log2(4 * rule.products + 2)
        # Exponent of the magnitude's top bit, relative to the result's smallest exponent, when the largest exponent is
        # zero on our scale. The magnitude is widened at the low end so that it never has to shift down.
        self.room_at_zero = self.magnitude_bits - 1 - self.rule.fraction_bits - self.scale - emin
        widening = max(0, -(self.room_at_zero + self.lowest))
        self.room_at_zero += widening
        self.rounding = Rounding(
            result=result,
            magnitude_bits=self.magnitude_bits,
            widened_bits=self.magnitude_bits + widening,
            nearest=rule.nearest,
            kept_bits=rule.kept_bits,
            underflow_keeps_sign=rule.underflow_keeps_sign,
        )

    def rank(self, m: Module, a: Sequence[Value], b: Sequence[Value], c: Value) -> Ranked:
        """Stages multiply and maximum. A `c` goes along with the products."""
        return self._maximum(m, self._multiply(m, a, b, c))

    def add(self, m: Module, ranked: Ranked, addend: Value) -> Value:
        """The other stages, from the number that is there together with `ranked`. Returns the bits of the sum, which
        are not registered."""
        terms, special = self._compare(m, ranked, addend)
        total = self._add(m, self._align(m, terms))
        counted = self.rounding.count(m, total)
        # Stage round needs them three stages after stage compare.
        special = Special(**{name: delay(m, value, name, 3) for name, value in vars(special).items()})
        return self.rounding.round(m, counted, special)

    def _multiply(self, m: Module, a: Sequence[Value], b: Sequence[Value], c: Value) -> Products:
        pairs = [(fields(x, self.form), fields(y, self.form)) for x, y in zip(a, b, strict=True)]
        nan = Cat(x.nan | y.nan | (x.infinite & y.zero) | (x.zero & y.infinite) for x, y in pairs).any()
        return Products(
            significands=registers(m, (x.significand * y.significand for x, y in pairs), "product"),
            signs=registers(m, (x.sign ^ y.sign for x, y in pairs), "sign"),
            exponents=registers(m, (Mux(x.zero | y.zero, 0, x.exponent + y.exponent) for x, y in pairs), "exponent"),
            infinite=register(m, Cat(x.infinite | y.infinite for x, y in pairs), "infinite"),
            nan=register(m, nan, "nan"),
            c=register(m, c, "c"),
        )

    def _maximum(self, m: Module, products: Products) -> Ranked:
        signs = Cat(*products.signs)
        return Ranked(
            largest=register(m, _maximum(m, products.exponents), "largest"),
            significands=registers(m, products.significands, "product_m"),
            exponents=registers(m, products.exponents, "exponent_m"),
            positive=register(m, (products.infinite & ~signs).any(), "positive"),
            negative=register(m, (products.infinite & signs).any(), "negative"),
            signs=registers(m, products.signs, "sign_m"),
            nan=register(m, products.nan, "nan_m"),
            c=register(m, products.c, "c_m"),
        )

    def _compare(self, m: Module, ranked: Ranked, addend: Value) -> tuple[Terms, Special]:
        x = fields(addend, self.result)
        exponent_c = x.exponent + Const(self.scale - self.result.bias, signed(12))
        floored = Mux(x.zero, self.lowest, exponent_c)
        largest = ranked.largest
        top = Signal(signed(1 + max(len(largest) + 1, len(floored))))
        m.d.comb += top.eq(Mux((largest == 0) | (floored > largest), floored, largest))
        shift_bits = (self.rule.fraction_bits + 2).bit_length()
        below = (_clamped(top - exponent, shift_bits) for exponent in ranked.exponents)
        shifts = [*registers(m, below, "shift"), register(m, _clamped(top - exponent_c, shift_bits), "shift_c")]
        significand_c, sign_c = register(m, x.significand, "significand_c"), register(m, x.sign, "sign_c")
        positive = ranked.positive | (x.infinite & ~x.sign)
        negative = ranked.negative | (x.infinite & x.sign)
        special = Special(
            room=register(m, top + self.room_at_zero, "room"),
            not_number=register(m, ranked.nan | x.nan | (positive & negative), "not_number"),
            infinity=register(m, ranked.positive | ranked.negative | x.infinite, "infinity"),
            infinity_sign=register(m, negative, "infinity_sign"),
        )
        terms = Terms(
            significands=[*registers(m, ranked.significands, "product_c"), significand_c],
            signs=[*registers(m, ranked.signs, "sign_c"), sign_c],
            shifts=shifts,
        )
        return terms, special

    def _align(self, m: Module, terms: Terms) -> list[Signal]:
        """The terms in two's complement, and how many of them are negative: minus a term is its complement plus one,
        and the ones are added together with the terms."""
        fractions = [2 * self.form.mantissa_bits] * self.rule.products + [self.result.mantissa_bits]
        complements = []
        for significand, fraction, shift, sign in zip(
            terms.significands, fractions, terms.shifts, terms.signs, strict=True
        ):
            term = _aligned(significand, fraction, self.rule.fraction_bits, shift)
            complements.append(Cat(term ^ sign.replicate(len(term)), sign).as_signed())
        return [*registers(m, complements, "term"), register(m, sum(terms.signs, Const(0)), "ones")]

    def _add(self, m: Module, terms: list[Signal]) -> Signal:
        total = Signal(signed(self.magnitude_bits + 1))
        m.d.sync += total.eq(_sum(terms))
        return total


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
