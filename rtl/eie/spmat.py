"""Sparse-matrix read unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.layouts import column_layout, word_layout
from zeroskip.rtl.ports import write_port
from zeroskip.rtl.sram import Sram


class SparseMatrixRead(wiring.Component):
    """Fetches the words that hold a column (EIE section IV, sparse matrix read unit).

    A column may start and end anywhere in a word. Each word leaves with the range of entries that belongs to the
    column. A column leaves `i` in the cycle in which its last word is read.

    Latency: a word is at `o` in the cycle after its column was seen at `i`, if `o` is free. Throughput: one word a
    cycle, without a bubble between columns.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of column_layout, in
        Columns from the queue.
    o : stream of word_layout, out
        The words of each column.
    load : write_port(entry_words, word_bits), in
        Writes a word.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(column_layout(geometry))),
                "o": Out(stream.Signature(word_layout(geometry))),
                "load": In(write_port(geometry.entry_words, geometry.word_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        position = geometry.entries_per_word.bit_length() - 1
        m.submodules.words = words = Sram(depth=geometry.entry_words, width=geometry.word_bits)
        wiring.connect(m, wiring.flipped(self.load), words.write)

        # `fetched` counts the words of the queue's first column that have been read.
        column = self.i.payload
        fetched = Signal(bits_for(geometry.entry_words + 1))
        final = column.end - 1
        word = Signal(bits_for(geometry.entry_words))
        first = Signal()
        last = Signal()
        fetch = Signal()
        m.d.comb += [
            word.eq((column.begin >> position) + fetched),
            first.eq(fetched == 0),
            last.eq(word == (final >> position)[: len(word)]),
            fetch.eq(self.i.valid & (~self.o.valid | self.o.ready)),
            words.read.en.eq(fetch),
            words.read.addr.eq(word),
            self.i.ready.eq(fetch & last),
        ]
        # The fields of the output word that do not come from the memory.
        extent = Signal.like(self.o.payload)
        with m.If(fetch):
            m.d.sync += [
                fetched.eq(Mux(last, 0, fetched + 1)),
                self.o.valid.eq(1),
                extent.value.eq(column.value),
                extent.first.eq(first),
                extent.low.eq(Mux(first, column.begin[:position], 0)),
                extent.high.eq(Mux(last, final[:position], geometry.entries_per_word - 1)),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        for field in ("value", "first", "low", "high"):
            m.d.comb += self.o.payload[field].eq(extent[field])
        m.d.comb += self.o.payload.entries.eq(words.read.data)
        return m
