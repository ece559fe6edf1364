"""Sorts the entries of each block."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.bitonic import pipeline, sorting
from zeroskip.rtl.mapping.layouts import block_layout
from zeroskip.rtl.mapping.skid import Skid


class BlockSorter(wiring.Component):
    """A bitonic sorting network: merges neighbours, then pairs, then fours, with registers in each column of
    comparators.

    Latency: log2(width) * (log2(width) + 1) + 1 cycles. Throughput: one block a cycle. Everything stops while a block
    waits at `o`.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of block_layout, in
        Blocks in any order.
    o : stream of block_layout, out
        The same blocks, each sorted, each a run of its own.
    """

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__({"i": In(block), "o": Out(block)})

    @property
    def latency(self) -> int:
        return self.geometry.sort_cycles + 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.skid = skid = Skid(block_layout(self.geometry))
        columns = sorting(self.geometry.width)
        valid, block = pipeline(m, skid.i.ready, self.i.valid, self.i.payload, columns)
        m.d.comb += [self.i.ready.eq(skid.i.ready), skid.i.valid.eq(valid), skid.i.payload.eq(block)]
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        return m
