"""Merges two streams of sorted blocks."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.bitonic import pipeline, settling
from zeroskip.rtl.mapping.layouts import block_layout
from zeroskip.rtl.mapping.merger_lane import MergerLane
from zeroskip.rtl.mapping.skid import Skid


class Merger(wiring.Component):
    """Merges pairs of sorted runs, one of each stream, into sorted runs, `width` entries a cycle (PointAcc section 4,
    with the lanes of FLiMS, Papaphilippou, Luk and Brooks, arXiv:2112.05607).

    The `width` lanes merge one entry a cycle each, and know nothing of each other:

        place of list a:  0   1   2   3          lane i merges every entry in place i of the blocks of list a
                          |   |   |   |          with every entry in place width - 1 - i of those of list b
        lanes            [0] [1] [2] [3]
                          |   |   |   |
        place of list b:  3   2   1   0

    After any number of blocks, list a has given its p smallest entries and list b its q smallest, and p + q is a
    multiple of `width`. Entry a[p + k] stands in place (p + k) mod `width`, and entry b[q + width - 1 - k] in place
    (q + width - 1 - k) mod `width` = width - 1 - (p + k) mod `width`: the same lane. So the lanes compare a[p + k] with
    b[q + width - 1 - k] for all k. This is the first column of Batcher's bitonic merger: the smaller ones are the
    `width` smallest of all that are left, and a bitonic sequence from lane p mod `width` on. Those of list a are again
    its smallest. log2(width) columns sort the block, two cycles each.

    The only loop is the choice between two entries in a lane. All lanes go on together, so that all of them end a pair
    of runs with the same block, and pairs and passes follow each other without a gap. Where lists are sorted, a lane
    has taken at most one entry more of a list than another lane has; where they are not, the lanes still only permute,
    and nothing hangs.

    Latency: the first block of a pass leaves 6 + 2 * log2(width) cycles after those of both lists came. Throughput: one
    block a cycle. Everything stops while a block waits at `o`; whether blocks are taken depends on registers only.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    a : stream of block_layout, in
        Sorted runs, as many as come at `b`. Absent entries are the last of a run.
    b : stream of block_layout, in
        Sorted runs.
    o : stream of block_layout, out
        The merged runs: as many blocks as came in, whose absent entries are at the end.
    """

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__({"a": In(block), "b": In(block), "o": Out(block)})

    @property
    def latency(self) -> int:
        return MergerLane.latency + self.geometry.settle_cycles + 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width, advance, go = self.geometry.width, Signal(), Signal()
        m.submodules.skid = skid = Skid(block_layout(self.geometry))
        lanes = [MergerLane(self.geometry) for _ in range(width)]
        # Of the next cycle, so that a register moves all lanes.
        m.d.sync += go.eq(Cat(lane.can for lane in lanes).all() & skid.ready_next)
        m.d.comb += [
            advance.eq(skid.i.ready),
            self.a.ready.eq(Cat(lane.a.ready for lane in lanes).all()),
            self.b.ready.eq(Cat(lane.b.ready for lane in lanes).all()),
        ]
        block = Signal(block_layout(self.geometry))
        m.d.comb += [block.last.eq(lanes[0].o.last), block.final.eq(lanes[0].o.final)]
        for place, lane in enumerate(lanes):
            m.submodules[f"lane{place}"] = lane
            for side, port, entry in (
                (self.a, lane.a, self.a.payload.entries[place]),
                (self.b, lane.b, self.b.payload.entries[width - 1 - place]),
            ):
                m.d.comb += [
                    port.valid.eq(side.valid & side.ready),
                    port.payload.entry.eq(entry),
                    port.payload.last.eq(side.payload.last),
                    port.payload.final.eq(side.payload.final),
                ]
            m.d.comb += [
                lane.a_stops.eq(~self.a.ready),
                lane.b_stops.eq(~self.b.ready),
                lane.go.eq(go),
                lane.advance.eq(advance),
                block.entries[place].eq(lane.o.entry),
            ]
        taken, chosen = Signal(), Signal()
        with m.If(advance):
            m.d.sync += [taken.eq(go), chosen.eq(taken)]
        valid, sorted_block = pipeline(m, advance, chosen, block, settling(width))
        m.d.comb += [skid.i.valid.eq(valid), skid.i.payload.eq(sorted_block)]
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        return m
