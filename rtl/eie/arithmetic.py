"""Arithmetic unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.decoder import operand_layout


class ArithmeticUnit(wiring.Component):
    """`destination[row] += (weight * value) >> product_shift`, saturating (EIE section IV, arithmetic unit).

    One multiply-accumulate a cycle, in three stages behind the decoder's:

        multiply   read the accumulator; product <- weight * value
        add        sum <- saturate(accumulator + product); write it
        flag       tell whether the row's activation is non-zero now

    Two successive updates of one row meet while the first is being written: the second takes the sum from its
    register. Updates further apart find it in the file, so that nothing ever stalls and no sum is lost.

    The flag is the one that requantisation would give: `|sum| > half`, of the negative ones only without `relu`, where
    `half` is half a unit of the layer's output in accumulator units. `busy` is high while an update is in the stages.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        row = bits_for(geometry.activation_rows)
        super().__init__(
            {
                "i": In(stream.Signature(operand_layout(geometry), always_ready=True)),
                "half": In(geometry.accumulator_bits - 1),
                "relu": In(1),
                "read_en": Out(1),
                "read_row": Out(row),
                "read_data": In(signed(geometry.accumulator_bits)),
                "write_en": Out(1),
                "write_row": Out(row),
                "write_data": Out(signed(geometry.accumulator_bits)),
                "flag_en": Out(1),
                "flag_row": Out(row),
                "flag": Out(1),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        bits = self.geometry.accumulator_bits
        operand = self.i.payload

        # multiply
        product = Signal(signed(2 * VALUE_BITS))
        row = Signal.like(self.read_row)
        adding, bypass = Signal(), Signal()
        m.d.comb += [self.read_en.eq(self.i.valid), self.read_row.eq(operand.row)]
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
            total.eq(Mux(bypass, recent, self.read_data) + (product >> self.geometry.product_shift)),
            self.write_en.eq(adding),
            self.write_row.eq(row),
            self.write_data.eq(Mux(total > highest, highest, Mux(total < lowest, lowest, total))),
        ]
        m.d.sync += self.flag_en.eq(adding)
        with m.If(adding):
            m.d.sync += [recent.eq(self.write_data), self.flag_row.eq(row)]

        # flag
        m.d.comb += [
            self.flag.eq((recent > self.half) | (~self.relu & (recent < -self.half))),
            self.busy.eq(self.i.valid | adding | self.flag_en),
        ]
        return m
