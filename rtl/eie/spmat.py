"""Sparse-matrix read unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import column_layout, entry_layout, word_layout
from zeroskip.rtl.ports import write_port
from zeroskip.rtl.sram import Sram


class SparseMatrixRead(wiring.Component):
    """Fetches the words that hold a column (EIE section IV, sparse matrix read unit).

    A column may start and end anywhere in a word. Each word leaves with the entries that belong to the column; the
    others are zero. A column leaves `i` in the cycle in which its last word is read.

    Latency: a word is at `o` two cycles after its column was seen at `i`, if `o` is free (a register stands behind the
    memory). Throughput: one word a cycle, without a bubble between columns.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of column_layout, in
        Columns from the queue.
    o : stream of word_layout, out
        The words of each column.
    busy : 1, out
        High while a word is at `o`, or on its way there.
    load : write_port(entry_words, word_bits), in
        Writes a word.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(column_layout(geometry))),
                "o": Out(stream.Signature(word_layout(geometry))),
                "busy": Out(1),
                "load": In(write_port(geometry.entry_words, geometry.word_bits)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        position = geometry.entries_per_word.bit_length() - 1
        m.submodules.words = words = Sram(depth=geometry.entry_words, width=geometry.word_bits)
        wiring.connect(m, wiring.flipped(self.load), words.write)

        # The words of the queue's first column are read one by one.
        column = self.i.payload
        first = Signal(init=1)
        following = Signal(bits_for(geometry.entry_words), reset_less=True)
        word = Signal.like(following)
        last = Signal()
        fetch = Signal()
        reading = Signal()
        free = Signal()
        m.d.comb += [
            free.eq(~self.o.valid | self.o.ready),
            fetch.eq(self.i.valid & (~reading | free)),
            word.eq(Mux(first, column.begin >> position, following)),
            last.eq(word == column.last >> position),
            words.read.en.eq(fetch),
            words.read.addr.eq(word),
            self.i.ready.eq(fetch & last),
            self.busy.eq(reading | self.o.valid),
        ]
        with m.If(fetch):
            m.d.sync += [first.eq(last), following.eq(word + 1)]

        # What belongs to the word at the memory's output.
        value = Signal(VALUE_BITS, reset_less=True)
        is_first = Signal(reset_less=True)
        low = Signal(position, reset_less=True)
        inside = Signal(geometry.entries_per_word, reset_less=True)
        with m.If(fetch):
            m.d.sync += [
                reading.eq(1),
                value.eq(column.value),
                is_first.eq(first),
                low.eq(column.begin[:position]),
            ]
            for e in range(geometry.entries_per_word):
                begun = ~first | (column.begin[:position] <= e)
                m.d.sync += inside[e].eq(begun & (~last | (column.last[:position] >= e)))
        with m.Elif(free):
            m.d.sync += reading.eq(0)

        # The word at `o`.
        output = Signal.like(self.o.payload, reset_less=True)
        m.d.comb += self.o.payload.eq(output)
        with m.If(free):
            m.d.sync += [
                self.o.valid.eq(reading),
                output.value.eq(value),
                output.first.eq(is_first),
                output.low.eq(low),
            ]
            for e in range(geometry.entries_per_word):
                entry = data.View(entry_layout(geometry), words.read.data.word_select(e, geometry.entry_bits))
                m.d.sync += [
                    output.entries[e].eq(Mux(inside[e], entry.as_value(), 0)),
                    output.weights[e].eq(inside[e] & entry.code.any()),
                ]
        return m
