"""Weight decoder of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Signal, signed
from amaranth.lib import data, memory, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import update_layout
from zeroskip.rtl.eie.ports import codebook_lanes, codebook_values


def operand_layout(geometry: EieGeometry) -> data.StructLayout:
    """A multiply-accumulate whose weight is known: `row` of the destination += weight * value."""
    return data.StructLayout(
        {
            "value": signed(VALUE_BITS),
            "weight": signed(VALUE_BITS),
            "row": bits_for(geometry.activation_rows),
        }
    )


class WeightDecoder(wiring.Component):
    """Expands codebook indices into the shared weights (EIE section IV, arithmetic unit: codebook lookup).

    It holds the codebook of the current layer.

    Latency: one cycle. Throughput: one update a cycle, without back-pressure.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of update_layout, always ready, in
        Updates with the index of their weight.
    o : stream of operand_layout, always ready, out
        The same updates with their weight.
    codebook : codebook_values, in
        Writes values of the layer's codebook.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(update_layout(geometry), always_ready=True)),
                "o": Out(stream.Signature(operand_layout(geometry), always_ready=True)),
                "codebook": In(codebook_values(geometry)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lanes = codebook_lanes(self.geometry)
        code = self.i.payload.code
        weights = []
        for lane in range(lanes):
            depth = self.geometry.codebook_size // lanes
            m.submodules[f"values_{lane}"] = values = memory.Memory(shape=VALUE_BITS, depth=depth, init=[])
            write, read = values.write_port(), values.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(self.codebook.en),
                write.addr.eq(self.codebook.addr),
                write.data.eq(self.codebook.data[lane]),
                read.addr.eq(code >> (lanes.bit_length() - 1)),
            ]
            weights.append(read.data)
        operand = Signal.like(self.o.payload, reset_less=True)
        m.d.sync += self.o.valid.eq(self.i.valid)
        with m.If(self.i.valid):
            m.d.sync += [
                operand.value.eq(self.i.payload.value),
                operand.weight.eq(Array(weights)[code % lanes]),
                operand.row.eq(self.i.payload.row),
            ]
        m.d.comb += self.o.payload.eq(operand)
        return m
