"""The sum of two floating-point numbers as a pipeline."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed

from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.rtl.mma.floats import fields
from zeroskip.rtl.mma.pipeline import delay, register
from zeroskip.rtl.mma.rounding import Rounding, Special

_PLACES = 3
"""Places below the larger number: two decide how to round, and one says whether anything lies further down."""


class Plus:
    """Adds two numbers of a format as IEEE 754 does, to nearest even, in four stages:

    compare    which exponent is larger, and by how much
    add        shift the other number down, noting what is lost; the sum
    count      its magnitude, and the zeros above it
    round      normalise and round
    """

    STAGES = 4

    def __init__(self, form: FloatFormat) -> None:
        self.form = form
        magnitude_bits = form.mantissa_bits + 1 + _PLACES + 1
        self.rounding = Rounding(
            result=form,
            magnitude_bits=magnitude_bits,
            widened_bits=magnitude_bits,
            nearest=True,
            kept_bits=form.mantissa_bits,
            underflow_keeps_sign=True,
        )

    def add(self, m: Module, left: Value, right: Value) -> Value:
        """The bits of the sum, which are not registered."""
        x, y = fields(left, self.form), fields(right, self.form)
        wide = self.form.mantissa_bits + 1 + _PLACES
        swap = Signal(name="swap")
        m.d.comb += swap.eq(x.exponent < y.exponent)
        distance = Mux(swap, y.exponent - x.exponent, x.exponent - y.exponent)
        distance_bits = wide.bit_length()
        clamped = distance[:distance_bits] | distance[distance_bits:].any().replicate(distance_bits)

        # compare
        large = register(m, Mux(swap, y.significand, x.significand), "large")
        small = register(m, Mux(swap, x.significand, y.significand), "small")
        large_sign, small_sign = (
            register(m, Mux(swap, one, other), name)
            for one, other, name in ((y.sign, x.sign, "large_sign"), (x.sign, y.sign, "small_sign"))
        )
        down = register(m, clamped, "down")
        positive, negative = ((x.infinite & (x.sign == sign)) | (y.infinite & (y.sign == sign)) for sign in (0, 1))
        special = Special(
            # The carry of the sum lies one place above the larger number, and 1 is the smallest exponent.
            room=register(m, Mux(swap, y.exponent, x.exponent), "room_sum"),
            not_number=register(m, x.nan | y.nan | (positive & negative), "not_number_sum"),
            infinity=register(m, x.infinite | y.infinite, "infinity_sum"),
            infinity_sign=register(m, negative, "infinity_sign_sum"),
        )
        # Minus zero only from two of them: with opposite numbers one sign is positive.
        minus_zero = register(m, x.sign & y.sign, "minus_zero")

        # add
        farthest = (1 << distance_bits) - 1
        shifted = Signal(wide + farthest, name="shifted")
        m.d.comb += shifted.eq(Cat(Const(0, farthest + _PLACES), small) >> down)
        moved = Cat(shifted[farthest] | shifted[:farthest].any(), shifted[farthest + 1 :])
        upper = Cat(Const(0, _PLACES), large)
        total = Signal(signed(wide + 2), name="total")
        m.d.sync += total.eq(Mux(large_sign, -upper, upper) + Mux(small_sign, -moved, moved))

        counted = self.rounding.count(m, total)
        special = Special(**{name: delay(m, value, f"{name}_sum", 2) for name, value in vars(special).items()})
        zero = Cat(Const(0, self.form.bits - 1), delay(m, minus_zero, "minus_zero", 2))
        return self.rounding.round(m, counted, special, zero)
