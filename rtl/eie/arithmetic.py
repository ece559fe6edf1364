"""Arithmetic unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.decoder import operand_layout
from zeroskip.rtl.eie.ports import accumulators_port, rounding_control


class ArithmeticUnit(wiring.Component):
    """`destination[row] += (weight * value) >> product_shift`, saturating (EIE section IV, arithmetic unit).

    Three stages follow the decoder's:

        multiply   read the accumulator; product <- weight * value
        add        sum <- saturate(accumulator + product); write it
        flag       record whether the row's activation is now non-zero

    If two successive updates go to the same row, the second would read the row while the first writes it: instead, it
    takes the first one's sum from a register. Updates further apart read the sum from the file. The unit never stalls.

    The flag is set where requantisation will give a non-zero value: `|sum| > half`, or `sum > half` where `relu`.

    Latency: a sum is written in the cycle after its update was taken, and flagged in the next.
    Throughput: one multiply-accumulate a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of operand_layout, always ready, in
        Updates.
    rounding : rounding_control, in
        How the layer's sums are rounded.
    destination : accumulators_port, out
        The destination file.
    busy : 1, out
        High while an update is in the stages.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(operand_layout(geometry), always_ready=True)),
                "rounding": In(rounding_control(geometry)),
                "destination": Out(accumulators_port(geometry)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bits = self.geometry.accumulator_bits
        operand = self.i.payload
        read, write, flag = self.destination.read, self.destination.write, self.destination.flag

        # multiply
        product = Signal(signed(2 * VALUE_BITS))
        row = Signal.like(read.addr)
        adding = Signal()
        bypass = Signal()
        m.d.comb += [read.en.eq(self.i.valid), read.addr.eq(operand.row)]
        m.d.sync += adding.eq(self.i.valid)
        with m.If(self.i.valid):
            m.d.sync += [
                product.eq(operand.weight * operand.value),
                row.eq(operand.row),
                bypass.eq(adding & (row == operand.row)),
            ]

        # add
        total = Signal(signed(max(bits, 2 * VALUE_BITS) + 1))
        highest, lowest = (1 << (bits - 1)) - 1, -(1 << (bits - 1))
        recent = Signal(signed(bits))
        m.d.comb += [
            total.eq(Mux(bypass, recent, read.data) + (product >> self.geometry.product_shift)),
            write.en.eq(adding),
            write.addr.eq(row),
            write.data.eq(Mux(total > highest, highest, Mux(total < lowest, lowest, total))),
        ]
        m.d.sync += flag.en.eq(adding)
        with m.If(adding):
            m.d.sync += [recent.eq(write.data), flag.addr.eq(row)]

        # flag
        half, relu = self.rounding.half, self.rounding.relu
        m.d.comb += [
            flag.data.eq((recent > half) | (~relu & (recent < -half))),
            self.busy.eq(self.i.valid | adding | flag.en),
        ]
        return m
