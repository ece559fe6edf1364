"""Chooses the entries of sorted runs that are stored."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import block_layout, entry_layout, lanes_layout, stored_layout


class Thinner(wiring.Component):
    """Marks the entries of sorted runs that are to be kept: those that are there, and, with `unique`, whose key differs
    from that of the entry before.

    Latency: one cycle. Throughput: one block a cycle. Everything stops while entries wait at `o`.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of block_layout, in
        Runs.
    unique : 1, in
        Keeps the first of equal keys. The pass must have one run.
    nearest : range(width + 1), in
        Entries that are kept of each block, where it is not 0.
    o : stream of lanes_layout of stored_layout, out
        The entries as the memory stores them.
    """

    latency = 1

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(block_layout(geometry))),
                "unique": In(1),
                "nearest": In(bits_for(geometry.width + 1)),
                "o": Out(stream.Signature(lanes_layout(stored_layout(geometry), geometry.width))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        before, begins = Signal(entry_layout(self.geometry)), Signal(init=1)
        entries = [self.i.payload.entries[lane] for lane in range(self.geometry.width)]
        m.d.comb += self.i.ready.eq(~self.o.valid | self.o.ready)
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [before.eq(entries[-1]), begins.eq(self.i.payload.final)]
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.final.eq(self.i.payload.final)]
            for lane, (x, y) in enumerate(zip([before, *entries[:-1]], entries, strict=True)):
                again = self.unique & (x.key == y.key) & (~begins if lane == 0 else 1)
                m.d.sync += [
                    self.o.payload.valid[lane].eq(Mux(self.nearest == 0, ~y.absent & ~again, lane < self.nearest)),
                    self.o.payload.values[lane].key.eq(Mux(y.absent, Const(-1, len(y.key)), y.key)),
                    self.o.payload.values[lane].index.eq(y.index),
                ]
        return m
