"""The last stages of a floating-point sum: an exact sum in two's complement becomes a number of the result's format."""

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
    """Bits of the magnitude as it is counted: widened at the low end so that it never has to shift down."""
    nearest: bool
    """Whether to round to nearest even; otherwise the sum is truncated."""
    kept_bits: int
    """Mantissa bits of a truncated result; the rest is zero."""
    underflow_keeps_sign: bool
    """Whether what becomes zero keeps its sign (zeroskip.model.mma.numerics.UNDERFLOW_KEEPS_SIGN)."""

    def count(self, m: Module, total: Signal) -> Counted:
        """Stage count, at whose end the result is registered."""
        magnitude = Signal(self.magnitude_bits)
        m.d.comb += magnitude.eq(Mux(total[-1], -total, total))
        above = self.widened_bits - self.magnitude_bits
        below = (1 << ceil_log2(self.widened_bits)) - self.widened_bits
        zeros = leading_zeros(m, Cat(Const(0, below), magnitude, Const(0, above)))
        return Counted(
            zeros=register(m, zeros, "zeros"),
            magnitude=register(m, Cat(magnitude, Const(0, above)), "magnitude"),
            sign=register(m, total[-1], "negative_sum"),
            empty=register(m, ~total.any(), "empty"),
        )

    def round(self, m: Module, counted: Counted, special: Special, zero: int | Value = 0) -> Value:
        """Stage round: the bits of the result, `zero` where the sum is."""
        exponent, rounded = self._normalise(m, counted, special.room)
        mantissa_bits = self.result.mantissa_bits
        # The leading bit of the significand adds one to the exponent; subnormal numbers do not have it.
        field = Signal(len(exponent) + 1)
        m.d.comb += field.eq(exponent + rounded[mantissa_bits:])
        highest = (1 << self.result.exponent_bits) - 1
        ones = Const(highest, self.result.exponent_bits)
        sign: Value = counted.sign
        if not self.underflow_keeps_sign:
            # A significand of zero has the exponent zero.
            sign = counted.sign & rounded.any()
        number = Mux(
            field >= highest,
            Cat(Const(0, mantissa_bits), ones, counted.sign),
            Cat(rounded[:mantissa_bits], field[: self.result.exponent_bits], sign),
        )
        # NaN: all bits are one except the sign.
        not_finite = Cat(special.not_number.replicate(mantissa_bits), ones, special.infinity_sign & ~special.not_number)
        return Mux(special.not_number | special.infinity, not_finite, Mux(counted.empty, zero, number))

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
        if self.nearest:
            half, below = rest[-1], rest[:-1].any()
            return exponent, significand + (half & (below | significand[0]))
        dropped = self.result.mantissa_bits - self.kept_bits
        return exponent, Cat(Const(0, dropped), significand[dropped:])
