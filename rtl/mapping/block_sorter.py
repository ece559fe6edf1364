"""Sorts the entries of each block."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.bitonic import merge
from zeroskip.rtl.mapping.layouts import block_layout


class BlockSorter(wiring.Component):
    """A bitonic sorting network: merges neighbours, then pairs, then fours, with a register after each.

    Latency: max(1, log2(width)) cycles. Throughput: one block a cycle. Everything stops while a block waits at `o`.

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
        return max(1, self.geometry.levels)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width, advance = self.geometry.width, Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), self.i.ready.eq(advance)]
        stage_layout = data.StructLayout({"valid": 1, "block": block_layout(self.geometry)})
        stages = [Signal(stage_layout, name=f"stage{phase}") for phase in range(self.latency)]
        before_valid: Value = self.i.valid
        before: Any = self.i.payload
        for phase, stage in enumerate(stages):
            values = [before.entries[lane].as_value() for lane in range(width)]
            size = 1 << phase
            if size < width:
                values = [
                    value
                    for first in range(0, width, 2 * size)
                    for value in merge(
                        m,
                        values[first : first + size],
                        values[first + size : first + 2 * size],
                        f"merge{size}_{first}",
                    )
                ]
            with m.If(advance):
                m.d.sync += [
                    stage.valid.eq(before_valid),
                    stage.block.last.eq(before.last),
                    stage.block.final.eq(before.final),
                    *(stage.block.entries[lane].eq(value) for lane, value in enumerate(values)),
                ]
            before_valid, before = stage.valid, stage.block
        m.d.comb += [self.o.valid.eq(before_valid), self.o.payload.eq(before)]
        return m
