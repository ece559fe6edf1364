"""The block rule of zeroskip.model.mma.golden as a pipeline."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.utils import bits_for, ceil_log2

from zeroskip.model.mma.numerics import BlockRule, FloatFormat
from zeroskip.rtl.mma.floats import unpacked_fields
from zeroskip.rtl.mma.pipeline import register, registers
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
    """After stage distance. Exponents are biased as those of the result."""

    significands: list[Signal]
    signs: list[Signal]
    exponents: list[Signal]
    largest: Signal
    """The largest exponent, at least the rule's floor."""
    distances: list[Signal]
    """How many places a product lies below the largest exponent."""
    positive: Signal
    """Whether any product is positive infinity."""
    negative: Signal
    nan: Signal
    c: Signal
    """As it was in the stage before: the register behind this stage is that of the number."""


@dataclass(frozen=True)
class Terms:
    """After stage compare: the products, and as the last term the number to which they are added."""

    numbers: list[Signal]
    """With one or two integer bits, relative to the number's sign: of what is negative, the complement, which is one
    less than its value. A complement that is shifted is the complement of what was shifted."""
    negative: list[Signal]
    """The products' signs."""
    shifts: list[Signal]
    """How many places a term lies below the largest."""


@dataclass(frozen=True)
class Aligned:
    """After stage align: numbers in two's complement, and bits that are also to be added."""

    numbers: list[Signal]
    ones: list[Signal]
    """Minus a term is its complement plus one. There are as many as additions are left."""


class BlockSum:
    """Adds one block of products to a number, in stages that perform the rule's steps 1 to 4:

        multiply   exact products, with the sums of the exponents
        maximum    the largest exponent of the products: a stage for each two levels of the tree
        distance   the distance of each product to it
        compare    take the number; whether its exponent is larger, and then the distances to it
        align      shift each term down, truncating it; of each three make two, without a carry
        add        the exact sum of the terms
        count      its magnitude, and the zeros above it
        round      normalise, truncate or round

    No signal is wider than the rule needs: terms have `fraction_bits + 2` bits, their sum has
    `fraction_bits + ceil(log2(4 products + 2))` bits and a sign. Terms are added relative to the number's sign, so that
    each addition takes at its carry input the one that completes the complement of one product.
    """

    LOOP = 5
    """Stages from the one that takes the number, which is there together with the distances."""

    def __init__(self, form: FloatFormat, result: FloatFormat, rule: BlockRule) -> None:
        self.form, self.result, self.rule = form, result, rule
        # A product's exponent is a sum of two biased exponents.
        self.scale = 2 * self.form.bias
        emin = 1 - self.result.bias
        self.lowest = (emin if self.rule.floor is None else self.rule.floor) + self.scale
        self.magnitude_bits = self.rule.fraction_bits + ceil_log2(4 * rule.products + 2)
        # Exponent of the magnitude's top bit, relative to the result's smallest exponent, when the largest exponent is
        # zero on the result's scale. The magnitude is widened so that it never has to shift down.
        self.room_at_zero = self.magnitude_bits - 1 - self.rule.fraction_bits - self.result.bias - emin
        widening = max(0, -(self.room_at_zero + self.lowest - self.scale + self.result.bias))
        self.room_at_zero += widening
        # The largest exponents of finite numbers, with the result's bias.
        product = 2 * ((1 << form.exponent_bits) - 1 - form.infinities) + self.result.bias - self.scale
        addend = (1 << self.result.exponent_bits) - 2
        self.rounding = Rounding(
            result=result,
            magnitude_bits=self.magnitude_bits,
            widened_bits=self.magnitude_bits + widening,
            most_room=max(product, addend) + self.room_at_zero,
            nearest=rule.nearest,
            kept_bits=rule.kept_bits,
        )

    @staticmethod
    def take(rule: BlockRule) -> int:
        """The stage in which the number is taken, counted from 0."""
        levels = (rule.products - 1).bit_length()
        return 2 + -(-levels // 2)

    def rank(self, m: Module, a: Sequence[Value], b: Sequence[Value], c: Value) -> Ranked:
        """Stages multiply to distance, from unpacked operands. A `c` goes along with the products."""
        return self._distance(m, *self._maximum(m, self._multiply(m, a, b, c)))

    def add(self, m: Module, ranked: Ranked, addend: Value) -> Value:
        """The other stages, from the unpacked number that is there together with `ranked`. Returns the sum, unpacked
        and not registered. What truncation or rounding makes zero keeps its sign."""
        terms, special = self._compare(m, ranked, addend)
        total = self._add(self._align(m, terms))
        return self.rounding.finish(m, total, special.later(m, "aligned"))

    def _multiply(self, m: Module, a: Sequence[Value], b: Sequence[Value], c: Value) -> Products:
        pairs = [(unpacked_fields(x, self.form), unpacked_fields(y, self.form)) for x, y in zip(a, b, strict=True)]
        nan = Cat(x.nan | y.nan | (x.infinite & y.zero) | (x.zero & y.infinite) for x, y in pairs).any()
        return Products(
            significands=registers(m, (x.significand * y.significand for x, y in pairs), "product"),
            signs=registers(m, (x.sign ^ y.sign for x, y in pairs), "sign"),
            exponents=registers(m, (Mux(x.zero | y.zero, 0, x.exponent + y.exponent) for x, y in pairs), "exponent"),
            infinite=register(m, Cat(x.infinite | y.infinite for x, y in pairs), "infinite"),
            nan=register(m, nan, "nan"),
            c=register(m, c, "c"),
        )

    def _maximum(self, m: Module, products: Products) -> tuple[Products, Signal]:
        """The products, together with their largest exponent."""
        candidates: list[Value] = list(products.exponents)
        stage = 0
        while len(candidates) > 1:
            for _ in range(2):
                candidates = _larger(m, candidates)
            candidates = list(registers(m, candidates, f"largest{stage}_"))
            products = Products(
                significands=registers(m, products.significands, f"product{stage}_"),
                signs=registers(m, products.signs, f"sign{stage}_"),
                exponents=registers(m, products.exponents, f"exponent{stage}_"),
                infinite=register(m, products.infinite, f"infinite{stage}"),
                nan=register(m, products.nan, f"nan{stage}"),
                c=register(m, products.c, f"c{stage}"),
            )
            stage += 1
        (largest,) = candidates
        return products, largest

    def _distance(self, m: Module, products: Products, largest: Value) -> Ranked:
        signs = Cat(*products.signs)
        rebias = self.result.bias - self.scale
        floored = Signal(signed(1 + max(len(largest), bits_for(self.lowest, require_sign_bit=True))))
        m.d.comb += floored.eq(Mux((largest == 0) | (largest < self.lowest), self.lowest, largest))
        return Ranked(
            largest=register(m, floored + rebias, "largest"),
            # Where all products are zero it does not matter where they lie.
            distances=registers(m, (self._clamped(floored - e) for e in products.exponents), "distance"),
            significands=registers(m, products.significands, "product_d"),
            exponents=registers(m, (exponent + rebias for exponent in products.exponents), "exponent_d"),
            positive=register(m, (products.infinite & ~signs).any(), "positive"),
            negative=register(m, (products.infinite & signs).any(), "negative"),
            signs=registers(m, products.signs, "sign_d"),
            nan=register(m, products.nan, "nan_d"),
            c=products.c,
        )

    def _compare(self, m: Module, ranked: Ranked, addend: Value) -> tuple[Terms, Special]:
        x = unpacked_fields(addend, self.result)
        below = Signal(signed(1 + max(len(ranked.largest), len(x.exponent) + 1)), name="below")
        # Whether the number has the largest exponent. A zero has none: all its places are below the others.
        leads = Signal()
        m.d.comb += [below.eq(ranked.largest - x.exponent), leads.eq(below[-1])]
        if self.lowest < 1 - self.result.bias + self.scale:
            # With a higher floor, the exponent of an unpacked zero, which is that of the smallest numbers, never leads.
            m.d.comb += leads.eq(below[-1] & ~x.zero)
        shifts = [
            *(
                Mux(leads, self._clamped(x.exponent - exponent), distance)
                for exponent, distance in zip(ranked.exponents, ranked.distances, strict=True)
            ),
            Mux(leads, 0, self._clamped(below)),
        ]
        positive = ranked.positive | (x.infinite & ~x.sign)
        negative = ranked.negative | (x.infinite & x.sign)
        room = Mux(leads, x.exponent + self.room_at_zero, ranked.largest + self.room_at_zero)
        special = Special(
            # It is never negative.
            room=register(m, room[:-1], "room"),
            negated=register(m, x.sign, "negated"),
            not_number=register(m, ranked.nan | x.nan | (positive & negative), "not_number"),
            infinity=register(m, ranked.positive | ranked.negative | x.infinite, "infinity"),
            infinity_sign=register(m, negative, "infinity_sign"),
            zero_sign=Const(0),
        )
        places = [2 * self.form.mantissa_bits] * self.rule.products + [self.result.mantissa_bits]
        opposite = [*(sign ^ x.sign for sign in ranked.signs), Const(0)]
        numbers = []
        for significand, fraction, sign in zip([*ranked.significands, x.significand], places, opposite, strict=True):
            term = self._widened(significand, fraction)
            numbers.append(Cat(term ^ sign.replicate(len(term)), sign).as_signed())
        terms = Terms(
            numbers=registers(m, numbers, "number"),
            negative=registers(m, opposite[:-1], "opposite"),
            shifts=registers(m, shifts, "shift"),
        )
        return terms, special

    def _align(self, m: Module, terms: Terms) -> Aligned:
        """The terms at their places. A carry-save adder for each three of them is one look-up table deep."""
        shifted = [number >> shift for number, shift in zip(terms.numbers, terms.shifts, strict=True)]
        numbers, ones = _carry_saved(shifted, terms.negative)
        return Aligned(numbers=registers(m, numbers, "aligned"), ones=registers(m, ones, "one"))

    def _add(self, aligned: Aligned) -> Value:
        numbers: list[Value] = list(aligned.numbers)
        ones: list[Value] = list(aligned.ones)
        while len(numbers) > 1:
            numbers, ones = _pairs(numbers, ones)
        # The sum of all terms is in this range.
        return numbers[0][: self.magnitude_bits + 1].as_signed()

    def _widened(self, significand: Value, fraction: int) -> Value:
        """A significand of so many fraction bits with `fraction_bits`."""
        more = self.rule.fraction_bits - fraction
        return Cat(Const(0, more), significand) if more >= 0 else significand[-more:]

    def _clamped(self, distance: Value) -> Value:
        """A distance that is not negative where it is used, at most what shifts a term out."""
        bits = (self.rule.fraction_bits + 2).bit_length()
        magnitude = distance[:-1]
        if len(magnitude) <= bits:
            return magnitude
        return magnitude[:bits] | magnitude[bits:].any().replicate(bits)


def _larger(m: Module, values: Sequence[Value]) -> list[Value]:
    """The larger of each two neighbours."""
    larger: list[Value] = []
    for x, y in zip(values[::2], values[1::2], strict=False):
        value = Signal.like(x, name="larger")
        m.d.comb += value.eq(Mux(x > y, x, y))
        larger.append(value)
    return larger + list(values[len(larger) * 2 :])


def _carry_saved(numbers: Sequence[Value], ones: Sequence[Value]) -> tuple[list[Value], list[Value]]:
    """Of each three neighbours two numbers with the same sum and one of the ones, and those that are left."""
    left = list(ones)
    saved: list[Value] = []
    for x, y, z in zip(numbers[::3], numbers[1::3], numbers[2::3], strict=False):
        # A place below the lowest of the carries has the one.
        saved += [x ^ y ^ z, Cat(left.pop(0), (x & y) | (x & z) | (y & z)).as_signed()]
    return saved + list(numbers[len(numbers) // 3 * 3 :]), left


def _pairs(numbers: Sequence[Value], ones: Sequence[Value]) -> tuple[list[Value], list[Value]]:
    """The sums of each two neighbours, each with one of the ones, and those that are left."""
    left = list(ones)
    sums = []
    for x, y in zip(numbers[::2], numbers[1::2], strict=False):
        width = max(len(x), len(y)) + 1
        carry = left.pop(0)
        # One carry chain: a place below the lowest carries the one in.
        total = (Cat(Const(1), x).as_signed() + Cat(carry, y).as_signed())[1 : width + 1]
        sums.append(total.as_signed())
    return sums + list(numbers[len(sums) * 2 :]), left
