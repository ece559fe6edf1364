"""Merges two streams of sorted blocks."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.bitonic import exchange, settle
from zeroskip.rtl.mapping.layouts import block_layout


class Merger(wiring.Component):
    """Merges pairs of sorted runs, one of each stream, into sorted runs, `width` entries a cycle (PointAcc section 4;
    Chhugani et al., VLDB 2008).

    A register holds the `width` largest entries seen so far. In each cycle the block with the smaller first entry meets
    them: a column of comparators separates the smaller half, which leaves, from the larger half, which the register
    keeps; log2(width) columns sort each half. The first block of the next pair pushes out the last one of this pair, so
    that pairs follow each other without a gap.

    The comparators from the register back to it (1 + log2(width) columns) set the clock; the half that leaves has a
    register after the first column.

    With `top`, the register keeps the smaller half, and of each run of list a the `width` smallest entries leave, as
    one block.

    Latency: a block leaves two cycles after the block that pushes it out was taken; the last block of a pass, three
    cycles after the last one of its pair. Throughput: one block a cycle. Everything stops while a block waits at `o`.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    a : stream of block_layout, in
        Sorted runs, as many as come at `b`. With `top`, runs of sorted blocks.
    b : stream of block_layout, in
        Sorted runs. With `top` nothing is taken here.
    top : 1, in
        Keeps the smallest entries. Changes between passes.
    o : stream of block_layout, out
        The merged runs: as many blocks as came in, whose absent entries are at the end.
    """

    latency = 3

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__({"a": In(block), "b": In(block), "top": In(1), "o": Out(block)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kept = Signal(self.o.payload.entries.shape())
        holding, flush, advance = Signal(), Signal(), Signal()
        begins = Signal(init=1)
        m.d.comb += advance.eq(~self.o.valid | self.o.ready)
        take, new = self._take(m, advance & ~flush, begins, flush)

        low, high = exchange(m, _values(kept), list(reversed(_values(new))), "half", keep=begins)
        with m.If(take):
            m.d.sync += holding.eq(1)
            stay = [Mux(self.top & ~begins, small, large) for small, large in zip(low, high, strict=True)]
            for lane, value in enumerate(settle(m, stay, "keep")):
                m.d.sync += kept[lane].eq(value)
        with m.Elif(flush & advance):
            m.d.sync += [holding.eq(0), flush.eq(0)]

        # At the beginning of a pair the comparators leave the register's entries where they are.
        halves = Signal(
            data.StructLayout({"valid": 1, "entries": kept.shape(), "last": 1, "final": 1}),
        )
        with m.If(advance):
            m.d.sync += [
                halves.valid.eq(holding & (flush | (take & (begins | ~self.top)))),
                halves.last.eq(begins),
                halves.final.eq(flush),
                *(halves.entries[lane].eq(value) for lane, value in enumerate(low)),
                self.o.valid.eq(halves.valid),
                self.o.payload.last.eq(halves.last),
                self.o.payload.final.eq(halves.final),
            ]
            for lane, value in enumerate(settle(m, _values(halves.entries), "leave")):
                m.d.sync += self.o.payload.entries[lane].eq(value)
        return m

    def _take(self, m: Module, free: Value, begins: Signal, flush: Signal) -> tuple[Signal, Signal]:
        """Chooses the block with the smaller first entry. Returns whether one is taken, and its entries."""
        a, b = self.a, self.b
        a_ended, b_ended, choose_a, take = Signal(), Signal(), Signal(), Signal()
        new = Signal(a.payload.entries.shape())
        first_of_a, first_of_b = (side.payload.entries[0].as_value() for side in (a, b))
        m.d.comb += [
            choose_a.eq(self.top | (~a_ended & (b_ended | (first_of_a < first_of_b)))),
            take.eq(free & (a.valid | a_ended) & (b.valid | b_ended | self.top)),
            a.ready.eq(take & choose_a),
            b.ready.eq(take & ~choose_a),
            new.eq(Mux(choose_a, a.payload.entries.as_value(), b.payload.entries.as_value())),
        ]
        chosen_last = Mux(choose_a, a.payload.last, b.payload.last)
        with m.If(take):
            m.d.sync += begins.eq(0)
            with m.If(chosen_last & (a_ended | b_ended | self.top)):
                final = Mux(choose_a, a.payload.final, b.payload.final)
                m.d.sync += [a_ended.eq(0), b_ended.eq(0), begins.eq(1), flush.eq(final)]
            with m.Elif(chosen_last):
                m.d.sync += [a_ended.eq(choose_a), b_ended.eq(~choose_a)]
        return take, new


def _values(entries: Any) -> list[Value]:
    return [entries[lane].as_value() for lane in range(len(entries))]
