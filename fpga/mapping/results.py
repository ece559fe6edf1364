"""Keeps the triples of the mapping unit, and gives out results one by one."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
from zeroskip.fpga.mapping.layouts import MapperSource, mapper_sizes, outcome_layout, read_layout
from zeroskip.model.bits import bits_for
from zeroskip.rtl.mapping.layouts import triples_layout, word_layout
from zeroskip.rtl.sram import Sram


class MapperResults(wiring.Component):
    """Takes triples as fast as the unit gives them, so that these never wait, and answers reads while no job runs.

    Triples that find no room are dropped, and told as `overflow`.

    Latency: `result` follows `read` by two cycles, a key by three more than the unit's word.

    Parameters
    ----------
    geometry : LinkedMapperGeometry

    Ports
    -----
    begin : 1, in
        A job begins: there are no triples.
    triples : stream of triples_layout, in
        Those of a job; all words but the last are full. Always ready.
    sorted : range(keys + 1), in
        Keys that the last job stored.
    disordered : 1, in
        A list of the last job was not sorted.
    read : stream of read_layout, in
        Numbers of results.
    result : stream of unsigned, out
        These results, in order, in the low bits (MapperSource).
    word_read : stream of addresses, out
        Requests for words of the unit's memory.
    word : stream of word_layout, in
        These words.
    """

    def __init__(self, geometry: LinkedMapperGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "begin": In(1),
                "triples": In(stream.Signature(triples_layout(geometry), always_ready=True)),
                "sorted": In(bits_for(geometry.keys + 1)),
                "disordered": In(1),
                "read": In(stream.Signature(read_layout(geometry))),
                "result": Out(stream.Signature(mapper_sizes(geometry).result)),
                "word_read": Out(stream.Signature(geometry.address_bits)),
                "word": In(stream.Signature(word_layout(geometry))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        m.submodules.memory = memory = Sram(depth=geometry.triple_words, width=triples_layout(geometry)["values"].width)
        outcome = Signal(outcome_layout(geometry))
        self._store(m, memory, outcome)
        self._answer(m, memory, outcome)
        return m

    def _store(self, m: Module, memory: Sram, outcome: Any) -> None:
        """A register before the memory, and a count of words and of triples."""
        at = Signal(range(self.geometry.triple_words + 1))
        taken, values = Signal(), Signal.like(self.triples.payload)
        room = at != self.geometry.triple_words
        m.d.sync += [taken.eq(self.triples.valid), values.eq(self.triples.payload)]
        m.d.comb += [
            memory.write.en.eq(taken & room),
            memory.write.addr.eq(at),
            memory.write.data.eq(values["values"]),
            outcome.sorted.eq(self.sorted),
            outcome.disordered.eq(self.disordered),
        ]
        with m.If(taken):
            with m.If(room):
                m.d.sync += [at.eq(at + 1), outcome.triples.eq(outcome.triples + values["count"])]
            with m.Else():
                m.d.sync += outcome.overflow.eq(1)
        with m.If(self.begin):
            m.d.sync += [at.eq(0), outcome.triples.eq(0), outcome.overflow.eq(0)]

    def _answer(self, m: Module, memory: Sram, outcome: Any) -> None:
        """One result after the other. Both memories keep a word until the next one is read."""
        levels, pair_bits = self.geometry.levels, (self.geometry.pairs - 1).bit_length()
        place, source = self.read.payload.place, self.read.payload.source
        lane, told = Signal(max(1, levels)), Signal()
        triples = data.View(triples_layout(self.geometry)["values"].shape, memory.read.data)
        with m.FSM():
            with m.State("Idle"):
                m.d.comb += [
                    self.read.ready.eq(1),
                    memory.read.en.eq(self.read.valid),
                    memory.read.addr.eq(place >> pair_bits),
                ]
                m.d.sync += [
                    lane.eq(place),
                    told.eq(source == MapperSource.OUTCOME),
                    self.word_read.payload.eq(place >> levels),
                ]
                with m.If(self.read.valid):
                    m.next = "Look up"
                    with m.If(source == MapperSource.KEYS):
                        m.next = "Ask"
            with m.State("Look up"):
                found = triples[lane[:pair_bits] if pair_bits else 0]
                m.d.sync += self.result.payload.eq(Mux(told, outcome, found))
                m.next = "Give"
            with m.State("Ask"):
                m.d.comb += self.word_read.valid.eq(1)
                with m.If(self.word_read.ready):
                    m.next = "Word"
            with m.State("Word"):
                m.d.comb += self.word.ready.eq(1)
                m.d.sync += self.result.payload.eq(self.word.payload[lane[:levels] if levels else 0])
                with m.If(self.word.valid):
                    m.next = "Give"
            with m.State("Give"):
                m.d.comb += self.result.valid.eq(1)
                with m.If(self.result.ready):
                    m.next = "Idle"
