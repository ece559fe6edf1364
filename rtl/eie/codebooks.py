"""The codebooks of all layers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.ports import codebook_lanes, codebook_port, codebook_values


class CodebookStore(wiring.Component):
    """Keeps the codebooks of all layers once for the whole array. At the beginning of each layer it sends the layer's
    codebook to the decoders of all PEs, which hold that one alone.

    A PE needs its first weight later than the last value arrives (see the pipeline in docs/explanations/eie.md), so
    this costs no cycle: a codebook of up to 16 values is sent one by one, larger ones in 16 groups.

    Latency: the first values are at `o` three cycles after `begin`, the last `last` cycles after it, that is 18 with 16
    values or more. `begin` may come again before: the new codebook then replaces what was sent of the other.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    begin : 1, in
        A layer begins two cycles later.
    codebook : bits_for(layers), in
        Its codebook, from then on.
    o : codebook_values, out
        Values for the decoders.
    load : codebook_port, in
        Writes a value of a codebook.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "begin": In(1),
                "codebook": In(bits_for(geometry.layers)),
                "o": Out(codebook_values(geometry)),
                "load": In(codebook_port(geometry)),
            }
        )

    @property
    def last(self) -> int:
        """Cycles from `begin` to the last value at `o`."""
        return 2 + self.geometry.codebook_size // codebook_lanes(self.geometry)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lanes = codebook_lanes(self.geometry)
        lane_bits = lanes.bit_length() - 1
        group = Signal.like(self.o.addr)
        groups = 1 << len(group)

        begun = Signal()
        sending = Signal()
        m.d.sync += [begun.eq(self.begin), group.eq(group + 1)]
        with m.If(begun):
            m.d.sync += [sending.eq(1), group.eq(0)]
        with m.Elif(group == groups - 1):
            m.d.sync += sending.eq(0)

        m.d.sync += [self.o.en.eq(sending), self.o.addr.eq(group)]
        for lane in range(lanes):
            m.submodules[f"values_{lane}"] = values = memory.Memory(
                shape=VALUE_BITS, depth=groups << len(self.codebook), init=[]
            )
            write, read = values.write_port(), values.read_port(domain="comb")
            m.d.comb += [
                write.en.eq(self.load.en & (self.load.addr[:lane_bits] == lane)),
                write.addr.eq(self.load.addr >> lane_bits),
                write.data.eq(self.load.data),
                read.addr.eq((self.codebook << len(group)) | group),
            ]
            m.d.sync += self.o.data[lane].eq(read.data)
        return m
