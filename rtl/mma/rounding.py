"""The last stages of a floating-point sum: an exact sum in two's complement becomes an unpacked number of the result's
format (zeroskip.rtl.mma.floats.unpack)."""

from __future__ import annotations

from dataclasses import dataclass

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value
from amaranth.utils import ceil_log2

from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.rtl.mma.floats import leading_zeros
from zeroskip.rtl.mma.pipeline import register


@dataclass(frozen=True)
class Special:
    """What is known about the result before the sum is."""

    room: Value
    """Places by which the sum can shift up before its exponent is the smallest of the result's format."""
    negated: Value
    """Whether minus the sum is wanted."""
    not_number: Value
    infinity: Value
    infinity_sign: Value
    zero_sign: Value
    """The sign where the sum is zero."""

    def later(self, m: Module, name: str) -> Special:
        """The same in the next cycle."""
        return Special(**{field: register(m, value, f"{field}_{name}") for field, value in vars(self).items()})


@dataclass(frozen=True)
class Counted:
    """After stage count: the sum as sign and magnitude."""

    sign: Signal
    """Of the result, whatever it is."""
    magnitude: Signal
    up: Signal
    """Places by which the magnitude shifts up. For a power of two that may be one too many: then its one is in the
    place above the highest."""
    exponents: tuple[Signal, Signal]
    """Of the result whose leading bit is in the highest place, and in the place above; less `up`."""
    infinite: Signal
    """Whether the result is infinite whatever the sum's lower places are, or not a number."""
    not_number: Signal


@dataclass(frozen=True, kw_only=True)
class Rounding:
    """Two stages:

    count      the sum's magnitude, and the zeros above it
    round      normalise, truncate or round
    """

    result: FloatFormat
    magnitude_bits: int
    """Bits of the sum without its sign."""
    widened_bits: int
    """Bits of the magnitude as it is counted: widened so that it never has to shift down."""
    most_room: int
    """The largest `room` of a finite sum."""
    nearest: bool
    """Whether to round to nearest even; otherwise the sum is truncated."""
    kept_bits: int
    """Mantissa bits of a truncated result; the rest is zero."""

    def finish(self, m: Module, total: Value, special: Special) -> Value:
        """Takes the sum, not registered, and what is known together with it. Returns the unpacked result, not
        registered, two stages later. What truncation or rounding makes zero keeps its sign."""
        sum_ = Signal.like(total, name="total")
        # A one in the place to which the sum's highest place may shift up.
        limit = Signal(self.widened_bits)
        m.d.sync += [
            sum_.eq(total),
            limit.eq(Const(1 << (self.widened_bits - 1), self.widened_bits) >> special.room),
        ]
        return self._round(m, self._count(m, sum_, limit, special.later(m, "total")))

    def _count(self, m: Module, total: Signal, limit: Signal, special: Special) -> Counted:
        negative = total[-1]
        # Minus a number is its complement plus one. The complement alone is counted, which has one zero more if the
        # number is minus a power of two.
        complement = Signal(self.magnitude_bits)
        m.d.comb += complement.eq(total[:-1] ^ negative.replicate(self.magnitude_bits))
        # No more zeros than there is room for, and than the widened magnitude has places.
        above = self.widened_bits - self.magnitude_bits
        below = (1 << ceil_log2(self.widened_bits)) - self.widened_bits
        zeros = leading_zeros(m, Cat(Const((1 << below) - 1, below), Cat(complement, Const(0, above)) | limit))
        up = Signal(range(self.widened_bits + 1))
        magnitude = Signal(self.widened_bits)
        exponents = Signal(len(special.room) + 1, name="exponent_1"), Signal(len(special.room) + 1, name="exponent_2")
        m.d.sync += [
            up.eq(zeros),
            magnitude.eq((complement + negative)[: self.magnitude_bits]),
            # Less the zeros, which are known in the next stage.
            *(exponent.eq(special.room + leading) for leading, exponent in enumerate(exponents, start=1)),
        ]
        # A number whose leading one lies in one of the highest places is infinite. Minus a power of two has its one a
        # place higher than the complement has: then the exponent is that of infinity already.
        infinity = (1 << self.result.exponent_bits) - 1
        places = Cat(negative, complement, Const(0, above))[::-1]
        beyond = Cat(
            bit & (special.room + 1 >= infinity + place)
            for place, bit in zip(range(self.most_room + 2 - infinity), places, strict=False)
        ).any()
        not_finite = special.not_number | special.infinity
        sign = Mux(
            not_finite,
            special.infinity_sign & ~special.not_number,
            Mux(total.any(), negative ^ special.negated, special.zero_sign),
        )
        return Counted(
            sign=register(m, sign, "sum_sign"),
            magnitude=magnitude,
            up=up,
            exponents=exponents,
            infinite=register(m, not_finite | beyond, "infinite"),
            not_number=register(m, special.not_number, "not_number_counted"),
        )

    def _round(self, m: Module, counted: Counted) -> Value:
        rounded = self._normalise(m, counted)
        mantissa_bits = self.result.mantissa_bits
        leading, higher = rounded[mantissa_bits], rounded[mantissa_bits + 1]
        bits = self.result.exponent_bits
        low, high = (Signal(len(exponent), name=f"exponent{place}") for place, exponent in enumerate(counted.exponents))
        m.d.comb += [low.eq(counted.exponents[0] - counted.up), high.eq(counted.exponents[1] - counted.up)]
        infinite = counted.infinite
        # Subnormal numbers have the exponent one, and no leading bit.
        exponent = Mux(higher, high, Mux(leading, low, 1))[:bits]
        return Cat(
            # NaN: all bits are one except the sign.
            (rounded[:mantissa_bits] & ~infinite.replicate(mantissa_bits))
            | counted.not_number.replicate(mantissa_bits),
            leading | higher | infinite,
            exponent | infinite.replicate(bits),
            counted.sign,
        )

    def _normalise(self, m: Module, counted: Counted) -> Value:
        """The significand of the sum, rounded, with its leading bit, or a one above it."""
        bits = self.result.mantissa_bits + 2
        spare = max(0, bits - self.widened_bits)
        normal = Signal(spare + self.widened_bits + 1)
        m.d.comb += normal[spare:].eq(counted.magnitude << counted.up)
        significand, rest = normal[-bits:], normal[:-bits]
        if self.nearest:
            half, below = rest[-1], rest[:-1].any()
            rounded = Signal(bits)
            m.d.comb += rounded.eq(significand + (half & (below | significand[0])))
            return rounded
        dropped = self.result.mantissa_bits - self.kept_bits
        return Cat(Const(0, dropped), significand[dropped:])
