"""Rounding of an accumulator to an activation."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry


class Requantise(wiring.Component):
    """`o = saturate16(round_half_even(i / 2**shift))`, or zero for a negative number if `relu` is set.

    Three stages, and a selection behind the last:

        sum       add half a unit
        coarse    shift by a multiple of eight bits; see whether the dropped bits of the sum are zero
        fine      shift by the rest; see whether the number fits

    The sum rounds half up. If its dropped bits are zero, the accumulator was half-way between two activations: the
    lowest bit is cleared, which leaves the even one.

    Latency: `latency`, three cycles. Throughput: one number a cycle. `shift` and `relu` must have their values from the
    cycle before a number enters until it has left.

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

    latency = 3
    """Cycles from `i` to `o`."""

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
        bits, shift = self.geometry.accumulator_bits, self.shift

        # Of the layer: half a unit, and a mask of the bits that are dropped.
        half = Signal(bits - 1, reset_less=True)
        dropped = Signal(bits - 1, reset_less=True)
        m.d.sync += [
            half.eq(Cat(shift == bit + 1 for bit in range(bits - 1))),
            dropped.eq(Cat(shift > bit for bit in range(bits - 1))),
        ]

        total = Signal(signed(bits + 1), reset_less=True)
        m.d.sync += total.eq(self.i + half)

        coarse = Signal.like(total, reset_less=True)
        halfway = Signal(reset_less=True)
        m.d.sync += [
            coarse.eq(total >> Cat(Const(0, 3), shift[3:])),
            halfway.eq(dropped[0] & ~(total & dropped).any()),
        ]

        # The number fits if all bits above the lowest VALUE_BITS - 1 equal the sign.
        low = Signal(VALUE_BITS, reset_less=True)
        negative = Signal(reset_less=True)
        beyond = Signal(reset_less=True)
        even = Signal(reset_less=True)
        unlike = coarse[VALUE_BITS - 1 :] ^ coarse[-1].replicate(bits + 2 - VALUE_BITS)
        m.d.sync += [
            low.eq(coarse >> shift[:3]),
            negative.eq(coarse[-1]),
            beyond.eq(Cat(bit & (place >= shift[:3]) for place, bit in enumerate(unlike)).any()),
            even.eq(halfway),
        ]
        with m.If(self.relu & negative):
            m.d.comb += self.o.eq(0)
        with m.Elif(beyond):
            m.d.comb += self.o.eq(Cat((~negative).replicate(VALUE_BITS - 1), negative))
        with m.Else():
            m.d.comb += self.o.eq(Cat(low[0] & ~even, low[1:]))
        return m
