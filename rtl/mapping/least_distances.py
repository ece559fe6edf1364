"""The distance of each point to the nearest of the samples so far."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import block_layout, word_layout
from zeroskip.rtl.ports import write_port


class LeastDistances(wiring.Component):
    """Farthest-point sampling keeps, for each point, the least squared distance to all samples so far (PointAcc). This
    stage takes the distances to the newest sample and the least ones before, stores the smaller of each, and passes on
    their complement: the smallest entry is the farthest point.

    Latency: one cycle. Throughput: one block a cycle. Everything stops while a block waits at `o`.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of block_layout, in
        Distances to the newest sample, one run for all points.
    before : stream of block_layout, in
        The least distances to the samples before, in the same order.
    first : 1, in
        There are no samples before: those distances are ignored.
    base : address_bits, in
        The word that holds the first distances.
    write : write_port of word_layout, out
        Stores the least distances.
    o : stream of block_layout, out
        The blocks of `i`, with the complement of the least distances as keys.
    """

    latency = 1

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__(
            {
                "i": In(block),
                "before": In(block),
                "first": In(1),
                "base": In(geometry.address_bits),
                "write": Out(write_port(geometry.words, word_layout(geometry))),
                "o": Out(block),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        free, take = Signal(), Signal()
        at = Signal(self.geometry.address_bits)
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            take.eq(free & self.i.valid & self.before.valid),
            self.i.ready.eq(take),
            self.before.ready.eq(take),
            self.write.en.eq(take),
            self.write.addr.eq(self.base + at),
        ]
        with m.If(take):
            m.d.sync += at.eq(Mux(self.i.payload.last, 0, at + 1))
        with m.If(free):
            m.d.sync += [self.o.valid.eq(take), self.o.payload.eq(self.i.payload)]
        for lane in range(self.geometry.width):
            new, old = self.i.payload.entries[lane], self.before.payload.entries[lane]
            least = Mux(self.first | (new.key < old.key), new.key, old.key)
            m.d.comb += [self.write.data[lane].key.eq(least), self.write.data[lane].index.eq(new.index)]
            with m.If(free):
                m.d.sync += self.o.payload.entries[lane].key.eq(least ^ Const(-1, len(new.key)))
        return m
