"""Finds inputs and outputs of equal keys in a merged stream."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import block_layout, entry_layout, lanes_layout, triple_layout


class Matcher(wiring.Component):
    """Compares neighbours (PointAcc's intersection detection): an input and an output of equal keys stand side by side,
    the input first, and are a triple of the map. The runs are those of the offsets, from 0 on.

    A run that does not increase strictly had a list that was not sorted, or that held a key twice: then `disordered` is
    raised. Merging only permutes, so that a run that does increase is right.

    Latency: one cycle. Throughput: one block a cycle. Everything stops while triples wait at `o`.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of block_layout, in
        Merged runs.
    o : stream of lanes_layout of triples, out
        Up to `pairs` triples for each block: two neighbouring places are never both the second of a pair.
    clear : 1, in
        Clears `disordered`, and begins with offset 0.
    disordered : 1, out
        Raised in the cycle after a block that is not sorted was taken, and kept until `clear`.
    """

    latency = 1

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(block_layout(geometry))),
                "o": Out(stream.Signature(lanes_layout(triple_layout(geometry), geometry.pairs))),
                "clear": In(1),
                "disordered": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        take, begins = Signal(), Signal(init=1)
        number = Signal.like(self.o.payload.values[0].offset, init=-1)
        before = Signal(entry_layout(self.geometry))
        entries = [self.i.payload.entries[lane] for lane in range(self.geometry.width)]
        m.d.comb += [self.i.ready.eq(~self.o.valid | self.o.ready), take.eq(self.i.valid & self.i.ready)]
        with m.If(take):
            m.d.sync += [before.eq(entries[-1]), begins.eq(self.i.payload.last), number.eq(number + begins)]

        # The first place follows the last one of the block before, if that is of the same run.
        pairs = list(zip([before, *entries[:-1]], entries, strict=True))
        follows = [~begins, *[1] * (self.geometry.width - 1)]
        matches = [follow & _match(x, y) for follow, (x, y) in zip(follows, pairs, strict=True)]
        wrong = [follow & ~_increase(x, y) for follow, (x, y) in zip(follows, pairs, strict=True)]
        with m.If(self.i.ready):
            m.d.sync += [self.o.valid.eq(self.i.valid), self.o.payload.final.eq(self.i.payload.final)]
            for slot in range(self.geometry.pairs):
                value = self.o.payload.values[slot]
                own = slice(2 * slot, 2 * slot + 2)
                first, *_ = matches[own]
                (x, y), *others = pairs[own]
                other_x, other_y = others[0] if others else (x, y)
                m.d.sync += [
                    self.o.payload.valid[slot].eq(Cat(*matches[own]).any()),
                    value.offset.eq(Mux(begins, number + 1, number)),
                    value.input.eq(Mux(first, x.index, other_x.index)),
                    value.output.eq(Mux(first, y.index, other_y.index)),
                ]
        with m.If(self.clear):
            m.d.sync += [self.disordered.eq(0), number.eq(-1), begins.eq(1)]
        with m.Elif(take & Cat(*wrong).any()):
            m.d.sync += self.disordered.eq(1)
        return m


def _match(x: Any, y: Any) -> Value:
    equal: Value = (x.key == y.key) & ~x.source & y.source & ~x.absent & ~y.absent
    return equal


def _increase(x: Any, y: Any) -> Value:
    """Whether y may follow x; anything absent may follow."""
    places = [Cat(entry.source, entry.key, entry.absent) for entry in (x, y)]
    return y.absent | (places[0] < places[1])
