"""Requantisation: an accumulator becomes an activation."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry


class Requantise(wiring.Component):
    """`o = saturate16(round_half_even(i / 2**shift))`, or zero for a negative number if `relu` is set.

    Combinational.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : signed(accumulator_bits), in
        The accumulator.
    shift : bits_for(max_shift + 1), in
        Bits to drop.
    relu : 1, in
        Negative numbers become zero.
    o : signed(VALUE_BITS), out
        The activation.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(signed(geometry.accumulator_bits)),
                "shift": In(bits_for(geometry.max_shift + 1)),
                "relu": In(1),
                "o": Out(signed(VALUE_BITS)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bits = self.geometry.accumulator_bits
        highest, lowest = (1 << (VALUE_BITS - 1)) - 1, -(1 << (VALUE_BITS - 1))

        # Round half to even: add half a unit minus one, plus one if the unit's bit is set. The carry into that bit
        # rounds up.
        unit = Signal(bits)
        odd = Signal()
        rounded = Signal(signed(bits + 1))
        m.d.comb += [
            unit.eq((1 << self.shift)[:bits]),
            odd.eq((self.i & unit.as_signed()).any()),
            rounded.eq((self.i + Mux(self.shift == 0, 0, (unit >> 1) - 1 + odd)) >> self.shift),
        ]
        with m.If(self.relu & (rounded < 0)):
            m.d.comb += self.o.eq(0)
        with m.Elif(rounded > highest):
            m.d.comb += self.o.eq(highest)
        with m.Elif(rounded < lowest):
            m.d.comb += self.o.eq(lowest)
        with m.Else():
            m.d.comb += self.o.eq(rounded)
        return m
