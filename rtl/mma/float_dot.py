"""The dot-product unit for floating-point numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Const, EnableInserter, Module, Mux, Signal, Value, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out
from amaranth.utils import ceil_log2

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat, block_rule
from zeroskip.rtl.mma.accumulators import Accumulators
from zeroskip.rtl.mma.floats import fields, leading_zeros
from zeroskip.rtl.mma.timing import Timing, control_ports


class FloatDot(wiring.Component):
    """`sum <- sum + a[0] * b[0] + ... + a[k-1] * b[k-1]` by the block rule of the geometry's generation
    (zeroskip.model.mma.golden, whose steps 1 to 5 these stages are).

        multiply   exact products, with the sums of the exponents
        maximum    the largest exponent of the products
        compare    take c, or the sum so far; the largest exponent of all; how far each term lies below
        align      shift each term down, cutting it off
        add        the exact sum of the terms
        count      its magnitude, and the zeros above it
        round      normalise, cut off or round, write the sum

    Nothing is wider than the rule needs: terms have `fraction_bits + 2` bits, their sum `ceil(log2(4 k + 2))` more than
    `fraction_bits`, and a sign.

    A new block enters every cycle, with the c that its sum may begin with; the control signals of the stages compare
    and round come from the tile (zeroskip.rtl.mma.timing). Everything stands still while `en` is low.
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
                **control_ports(self.timing),
                "d": Out(self.result.bits),
            }
        )
        # Exponents of products are sums of biased ones; that is the scale of all exponents here.
        self.scale = 2 * self.form.bias
        emin = 1 - self.result.bias
        self.lowest = (emin if self.rule.floor is None else self.rule.floor) + self.scale
        self.magnitude_bits = self.rule.fraction_bits + ceil_log2(4 * geometry.k + 2)
        # Exponent of the magnitude's top bit above the result's least exponent, where the largest exponent is zero on
        # our scale. At the lowest the magnitude is widened so that it never has to move down.
        self.room_at_zero = self.magnitude_bits - 1 - self.rule.fraction_bits - self.scale - emin
        widening = max(0, -(self.room_at_zero + self.lowest))
        self.room_at_zero += widening
        self.widened_bits = self.magnitude_bits + widening

    def elaborate(self, platform: Any) -> Any:
        m = Module()
        m.submodules.sums = sums = Accumulators(slots=self.timing.slots, width=self.result.bits)
        k, rule, form = self.geometry.k, self.rule, self.form
        fraction = rule.fraction_bits

        def register(value: Value, name: str) -> Signal:
            copy = Signal.like(value, name=name)
            m.d.sync += copy.eq(value)
            return copy

        # multiply
        pairs = [(fields(self.a[i], form), fields(self.b[i], form)) for i in range(k)]
        products = [register(x.significand * y.significand, f"product{i}") for i, (x, y) in enumerate(pairs)]
        signs = [register(x.sign ^ y.sign, f"sign{i}") for i, (x, y) in enumerate(pairs)]
        # Zero, which no product of non-zero numbers has, keeps a product out of the maximum.
        exponents = [
            register(Mux(x.zero | y.zero, 0, x.exponent + y.exponent), f"exponent{i}") for i, (x, y) in enumerate(pairs)
        ]
        infinite = register(Cat(x.infinite | y.infinite for x, y in pairs), "infinite")
        nan = register(
            Cat(x.nan | y.nan | (x.infinite & y.zero) | (x.zero & y.infinite) for x, y in pairs).any(), "nan"
        )
        c = register(self.c, "c")

        # maximum
        largest = register(_maximum(m, exponents), "largest")
        products = [register(product, f"product_m{i}") for i, product in enumerate(products)]
        exponents = [register(exponent, f"exponent_m{i}") for i, exponent in enumerate(exponents)]
        positive = register((infinite & ~Cat(*signs)).any(), "positive")
        negative = register((infinite & Cat(*signs)).any(), "negative")
        signs = [register(sign, f"sign_m{i}") for i, sign in enumerate(signs)]
        nan = register(nan, "nan_m")
        c = register(c, "c_m")

        # compare
        addend = Signal(self.result.bits)
        m.d.comb += [sums.r_slot.eq(self.take_slot), addend.eq(Mux(self.first, c, sums.r_data))]
        x = fields(addend, self.result)
        exponent_c = x.exponent + Const(self.scale - self.result.bias, signed(12))
        floored = Mux(x.zero, self.lowest, exponent_c)
        top = Signal(signed(1 + max(len(largest) + 1, len(floored))))
        m.d.comb += top.eq(Mux((largest == 0) | (floored > largest), floored, largest))
        shift_bits = (fraction + 2).bit_length()
        shifts = [register(_clamped(top - exponent, shift_bits), f"shift{i}") for i, exponent in enumerate(exponents)]
        shift_c = register(_clamped(top - exponent_c, shift_bits), "shift_c")
        significand_c = register(x.significand, "significand_c")
        sign_c = register(x.sign, "sign_c")
        room = register(top + self.room_at_zero, "room")
        not_number = register(
            nan | x.nan | ((positive | (x.infinite & ~x.sign)) & (negative | (x.infinite & x.sign))), "not_number"
        )
        infinity = register(positive | negative | x.infinite, "infinity")
        infinity_sign = register(negative | (x.infinite & x.sign), "infinity_sign")
        products = [register(product, f"product_c{i}") for i, product in enumerate(products)]
        signs = [register(sign, f"sign_c{i}") for i, sign in enumerate(signs)]

        # align: minus a term is its complement plus one; the ones are added together with the terms.
        terms = [
            _aligned(product, 2 * form.mantissa_bits, fraction, shift)
            for product, shift in zip(products, shifts, strict=True)
        ]
        terms.append(_aligned(significand_c, self.result.mantissa_bits, fraction, shift_c))
        signs = [*signs, sign_c]
        complements = [
            register(Cat(term ^ sign.replicate(len(term)), sign).as_signed(), f"term{i}")
            for i, (term, sign) in enumerate(zip(terms, signs, strict=True))
        ]
        ones = register(sum(signs, Const(0)), "ones")

        def delay(value: Value, name: str, cycles: int) -> Value:
            for cycle in range(cycles):
                value = register(value, f"{name}_{cycle}")
            return value

        # add
        total = Signal(signed(self.magnitude_bits + 1))
        m.d.sync += total.eq(_sum([*complements, ones]))

        # count
        sign = total[-1]
        magnitude = Signal(self.magnitude_bits)
        m.d.comb += magnitude.eq(Mux(sign, -total, total))
        padding = (1 << ceil_log2(self.widened_bits)) - self.magnitude_bits
        above = self.widened_bits - self.magnitude_bits
        zeros = register(leading_zeros(m, Cat(Const(0, padding - above), magnitude, Const(0, above))), "zeros")
        magnitude_r = register(Cat(magnitude, Const(0, above)), "magnitude")
        sign = register(sign, "negative_sum")
        empty = register(~total.any(), "empty")
        room = delay(room, "room", 3)

        # round
        up = Signal(range(self.widened_bits + 1))
        m.d.comb += up.eq(Mux(zeros > room, room, zeros))
        bits = self.result.mantissa_bits + 1
        spare = max(0, bits + 1 - self.widened_bits)
        normal = Signal(self.widened_bits + spare)
        m.d.comb += normal[spare:].eq(magnitude_r << up)
        significand, rest = normal[-bits:], normal[:-bits]
        exponent = Signal(len(room) + 1)
        m.d.comb += exponent.eq(room - up)
        # The leading bit of the significand counts in the exponent: it is missing where the number is subnormal.
        if self.geometry.out == "fp16":
            half, below = rest[-1], rest[:-1].any()
            rounded = significand + (half & (below | significand[0]))
        else:
            dropped = self.result.mantissa_bits - rule.kept_bits
            rounded = Cat(Const(0, dropped), significand[dropped:])
        field = Signal(len(exponent) + 1)
        m.d.comb += field.eq(exponent + rounded[bits - 1 :])
        highest = (1 << self.result.exponent_bits) - 1
        ones_field = Const(highest, self.result.exponent_bits)
        mantissa = rounded[: self.result.mantissa_bits]
        number = Mux(
            field >= highest,
            Cat(Const(0, self.result.mantissa_bits), ones_field, sign),
            Cat(mantissa, field[: self.result.exponent_bits], sign),
        )
        # Not a number is all ones but the sign.
        not_number = delay(not_number, "not_number", 3)
        infinity = delay(infinity, "infinity", 3)
        infinity_sign = delay(infinity_sign, "infinity_sign", 3)
        special = Cat(not_number.replicate(self.result.mantissa_bits), ones_field, infinity_sign & ~not_number)
        m.d.comb += [
            sums.w_en.eq(self.write),
            sums.w_slot.eq(self.write_slot),
            sums.w_data.eq(Mux(not_number | infinity, special, Mux(empty, 0, number))),
        ]
        m.d.sync += self.d.eq(sums.w_data)
        return EnableInserter(self.en)(m)


def _maximum(m: Module, values: Sequence[Value]) -> Value:
    """The largest, by a tree."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    left, right = Signal.like(values[0]), Signal.like(values[0])
    m.d.comb += [left.eq(_maximum(m, values[:half])), right.eq(_maximum(m, values[half:]))]
    return Mux(left > right, left, right)


def _sum(values: Sequence[Value]) -> Value:
    """The sum, by a tree."""
    if len(values) == 1:
        return values[0]
    half = len(values) // 2
    return _sum(values[:half]) + _sum(values[half:])


def _clamped(distance: Value, bits: int) -> Value:
    """The distance, which is not negative where it matters, or the largest number of `bits` bits."""
    return distance[:bits] | distance[bits:].any().replicate(bits)


def _aligned(significand: Value, fraction: int, wanted: int, shift: Value) -> Value:
    """A significand with two integer bits and `wanted` fraction bits, moved down by `shift`."""
    short = fraction <= wanted
    wide = Cat(Const(0, wanted - fraction), significand) if short else significand[fraction - wanted :]
    return (wide >> shift)[: wanted + 2]
