"""Keeps the smallest entry of a run."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.bitonic import less
from zeroskip.rtl.mapping.layouts import block_layout


class LeastEntry(wiring.Component):
    """Keeps the smallest entry of each run of sorted blocks: one comparison a cycle, so that runs need not take turns
    as in a Ranker.

    Latency: one cycle. Throughput: one block a cycle. Everything stops while a block waits at `o`.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of block_layout, in
        Runs of sorted blocks, one after the other.
    o : stream of block_layout, out
        A block for each run, with its smallest entry in the first place; the others are zero.
    """

    latency = 1

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__({"i": In(block), "o": Out(block)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        least, first, free = self.o.payload.entries[0], self.i.payload.entries[0], Signal()
        begins = Signal(init=1)
        m.d.comb += [free.eq(~self.o.valid | self.o.ready), self.i.ready.eq(free)]
        with m.If(free):
            m.d.sync += self.o.valid.eq(self.i.valid & self.i.payload.last)
        with m.If(free & self.i.valid):
            m.d.sync += [
                begins.eq(self.i.payload.last),
                self.o.payload.last.eq(1),
                self.o.payload.final.eq(self.i.payload.final),
            ]
            with m.If(begins | less(first.as_value(), least.as_value())):
                m.d.sync += least.eq(first)
        return m
