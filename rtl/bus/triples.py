"""Triples of a kernel map that go out over an AXI4-Stream."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.bus.ports import beat_layout, beat_stream
from zeroskip.rtl.mapping.layouts import triples_layout

NUMBER_BITS = 32
"""Bits of a number on the stream."""

NUMBERS = 4
"""Numbers of a triple on the stream: offset, input, output, and zero, so that beats have a power of two of bytes."""

TRIPLE_BITS = NUMBERS * NUMBER_BITS


class TripleSender(wiring.Component):
    """Makes a packet of the triples of each map: the last beat is marked `last`, and `keep` says how many triples it
    has. A map without triples is a packet of one beat in which nothing counts.

    Latency: a beat is offered as soon as the next one waits, or the map has ended. Throughput: one beat a cycle.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of triples_layout, in
        Triples; all words but the last of a map are full.
    end : 1, in
        High for one cycle when all triples of a map have been given.
    o : stream of beat_layout, out
        Beats of `pairs` triples.
    busy : 1, out
        Triples have not been taken.
    """

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(triples_layout(geometry))),
                "end": In(1),
                "o": Out(beat_stream(geometry.pairs, TRIPLE_BITS)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pairs = self.geometry.pairs
        held = Signal(triples_layout(self.geometry))
        full, ended = Signal(), Signal()
        beat = Signal(beat_layout(pairs, TRIPLE_BITS))
        numbers: list[Signal] = []
        for place in range(pairs):
            triple = held["values"][place]
            counts = place < held["count"]
            for value in (triple.offset, triple.input, triple.output, Const(0, 1)):
                wide = Signal(NUMBER_BITS, name=f"number{len(numbers)}")
                m.d.comb += wide.eq(value)
                numbers.append(wide)
            m.d.comb += beat.keep.word_select(place, TRIPLE_BITS // 8).eq(
                Cat(counts & full).replicate(TRIPLE_BITS // 8)
            )
        m.d.comb += [
            beat.data.eq(Cat(*numbers)),
            beat.last.eq(ended),
            self.o.payload.eq(beat),
            # A word is held back until it is known whether it is the last one.
            self.o.valid.eq(ended | (full & self.i.valid)),
            self.i.ready.eq(~full | (self.o.ready & ~ended)),
            self.busy.eq(full | ended),
        ]
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += [held.eq(self.i.payload), full.eq(1)]
        with m.If(self.end):
            m.d.sync += ended.eq(1)
        with m.If(ended & self.o.ready):
            m.d.sync += [full.eq(0), ended.eq(0)]
        return m
