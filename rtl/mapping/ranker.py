"""Keeps the smallest entries of runs."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.bitonic import less, pipeline, settling, values
from zeroskip.rtl.mapping.layouts import block_layout
from zeroskip.rtl.mapping.skid import Skid


class Ranker(wiring.Component):
    """Keeps the `width` smallest entries of each run of sorted blocks.

    What a run keeps meets its next block: a column of comparators gives the smaller half of both, and log2(width)
    columns sort it before the block after that can come. So up to `together` runs take turns: their first blocks come
    one after the other, then their second blocks in the same order, and so on. What each has kept goes round, and
    arrives with the run's next block.

        i ---> compare ---> exchange ---> log2(width) columns ---+---> o (after a run's last block)
                  ^                                               |
                  +-----------------------------------------------+

    With fewer runs in turn, a block waits until what its run has kept has come round.

    Latency: `together` + 1 cycles. Throughput: one block a cycle, if `together` runs take turns. Everything stops while
    a block waits at `o`.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of block_layout, in
        Sorted blocks, of up to `together` runs in turn; `begins` and `last` mark the first and the last one of a run.
    o : stream of block_layout, out
        The smallest entries of each run, in the order in which the runs began.
    """

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__({"i": In(block), "o": Out(block)})

    @property
    def latency(self) -> int:
        return self.geometry.together + 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width, layout = self.geometry.width, block_layout(self.geometry)
        m.submodules.skid = skid = Skid(layout)
        wiring.connect(m, skid.o, wiring.flipped(self.o))
        # What comes round.
        round_valid, kept = Signal(), Signal(layout)
        returns, leaves, take, moves, advance = Signal(), Signal(), Signal(), Signal(), Signal()
        # Those whose last block has not come.
        open_runs = Signal(range(self.geometry.together + 1))
        m.d.comb += [
            returns.eq(round_valid & ~kept.last),
            leaves.eq(round_valid & kept.last),
            take.eq(self.i.valid & (self.i.payload.begins | returns)),
            # Without a next block, what has been kept waits for it; and first blocks follow each other without a gap.
            moves.eq(self.i.valid | (open_runs == 0)),
            advance.eq((~leaves | skid.i.ready) & moves),
            self.i.ready.eq(advance & take),
            skid.i.valid.eq(leaves & moves),
            skid.i.payload.eq(kept),
        ]
        with m.If(self.i.ready & self.i.payload.begins & ~self.i.payload.last):
            m.d.sync += open_runs.eq(open_runs + 1)
        with m.If(self.i.ready & ~self.i.payload.begins & self.i.payload.last):
            m.d.sync += open_runs.eq(open_runs - 1)
        new, old = Signal(layout), Signal.like(kept.entries)
        half = Signal(data.StructLayout({"valid": 1, "block": layout}))
        keep = Signal(width)
        new_valid = Signal()
        with m.If(advance):
            m.d.sync += [
                new_valid.eq(take),
                new.eq(self.i.payload),
                old.eq(kept.entries),
                half.valid.eq(new_valid),
                half.block.eq(new),
            ]
            # Both are sorted: the smaller of each pair are the smaller half.
            pairs = zip(values(kept.entries), reversed(values(self.i.payload.entries)), strict=True)
            m.d.sync += [
                keep[lane].eq(~self.i.payload.begins & less(mine, other)) for lane, (mine, other) in enumerate(pairs)
            ]
            m.d.sync += [
                half.block.entries[lane].eq(Mux(keep[lane], old[lane], new.entries[width - 1 - lane]))
                for lane in range(width)
            ]
        valid, block = pipeline(m, advance, half.valid, half.block, settling(width))
        m.d.comb += [round_valid.eq(valid), kept.eq(block)]
        return m
