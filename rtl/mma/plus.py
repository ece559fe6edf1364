"""The sum of two floating-point numbers as a pipeline."""

from __future__ import annotations

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value

from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.rtl.mma.floats import unpacked_fields
from zeroskip.rtl.mma.pipeline import register
from zeroskip.rtl.mma.rounding import Rounding, Special

_PLACES = 3
"""Places below the larger number: two decide how to round, and one says whether anything lies further down."""


class Plus:
    """Adds two unpacked numbers of a format as IEEE 754 does, to nearest even, in four stages:

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
            most_room=(1 << form.exponent_bits) - 2,
            nearest=True,
            kept_bits=form.mantissa_bits,
        )

    def add(self, m: Module, left: Value, right: Value) -> Value:
        """The sum, unpacked and not registered."""
        x, y = unpacked_fields(left, self.form), unpacked_fields(right, self.form)
        wide = self.form.mantissa_bits + 1 + _PLACES
        swap = Signal(name="swap")
        m.d.comb += swap.eq(x.exponent < y.exponent)
        distance = Mux(swap, y.exponent - x.exponent, x.exponent - y.exponent)
        distance_bits = wide.bit_length()
        clamped = distance[:distance_bits] | distance[distance_bits:].any().replicate(distance_bits)

        # compare
        large = register(m, Mux(swap, y.significand, x.significand), "large")
        small = register(m, Mux(swap, x.significand, y.significand), "small")
        opposite = register(m, x.sign ^ y.sign, "opposite_sum")
        down = register(m, clamped, "down")
        positive, negative = ((x.infinite & (x.sign == sign)) | (y.infinite & (y.sign == sign)) for sign in (0, 1))
        special = Special(
            # The carry of the sum lies one place above the larger number, and 1 is the smallest exponent.
            room=register(m, Mux(swap, y.exponent, x.exponent), "room_sum"),
            negated=register(m, Mux(swap, y.sign, x.sign), "negated_sum"),
            not_number=register(m, x.nan | y.nan | (positive & negative), "not_number_sum"),
            infinity=register(m, x.infinite | y.infinite, "infinity_sum"),
            infinity_sign=register(m, negative, "infinity_sign_sum"),
            # Minus zero only from two of them: with opposite numbers one sign is positive.
            zero_sign=register(m, x.sign & y.sign, "minus_zero"),
        )

        # add
        farthest = (1 << distance_bits) - 1
        shifted = Signal(wide + farthest, name="shifted")
        m.d.comb += shifted.eq(Cat(Const(0, farthest + _PLACES), small) >> down)
        moved = Cat(shifted[farthest] | shifted[:farthest].any(), shifted[farthest + 1 :])
        # Minus the smaller number is its complement plus one, which a place below the lowest carries in.
        added = Cat(opposite, moved ^ opposite.replicate(len(moved)), opposite).as_signed()
        total = (Cat(Const(1, 1 + _PLACES), large, Const(0, 1)).as_signed() + added)[1 : wide + 3]
        return self.rounding.finish(m, total.as_signed(), special)
