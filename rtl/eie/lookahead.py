"""Look-ahead over the entries of a memory word."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Cat, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from model.formats.geometry import VALUE_BITS, EieGeometry, bits_for
from rtl.eie.layouts import Activity, update_layout, word_layout


class LookAhead(wiring.Component):
    """Takes a word apart into one update a cycle, and passes over its padding entries.

    The paper spends a cycle on each padding entry. Here the rows that the entries of a word consume are summed up
    while the word arrives, so that every entry knows its row and only those with a weight are issued. A word of which
    the column holds padding alone costs the one cycle in which its rows are added up.

    Latency: the first update of a word is at `o` in the cycle after the word was taken at `i`. Throughput: one update
    a cycle, without a bubble between words. `o` has no back-pressure. `activity` tells what the cycle was spent on.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(geometry))),
                "o": Out(stream.Signature(update_layout(geometry), always_ready=True)),
                "activity": Out(Activity),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        count = geometry.entries_per_word
        row_bits = bits_for(geometry.activation_rows)

        # Rows are sums modulo the size of the activation file: a column never leaves it.
        valid = Signal()
        value = Signal(VALUE_BITS)
        codes = [Signal(geometry.code_bits, name=f"code_{e}") for e in range(count)]
        pending = Signal(count)
        # Rows consumed up to and with entry e of this word, and by the column's words before it.
        consumed = [Signal(row_bits, name=f"consumed_{e}") for e in range(count)]
        base = Signal(row_bits)

        finishing, accept = Signal(), Signal()
        m.d.comb += [
            finishing.eq((pending & (pending - 1)) == 0),
            self.i.ready.eq(~valid | finishing),
            accept.eq(self.i.valid & self.i.ready),
        ]
        with m.If(accept):
            word = self.i.payload
            inside = [(e >= word.low) & (e <= word.high) for e in range(count)]
            total: Any = 0
            for e in range(count):
                total = (total + Mux(inside[e], word.entries[e].skip + 1, 0))[:row_bits]
                m.d.sync += [codes[e].eq(word.entries[e].code), consumed[e].eq(total)]
            m.d.sync += [
                valid.eq(1),
                value.eq(word.value),
                pending.eq(Cat(inside[e] & word.entries[e].code.any() for e in range(count))),
                base.eq(Mux(word.first, 0, base + consumed[-1])),
            ]
        with m.Else():
            m.d.sync += pending.eq(pending & (pending - 1))
            with m.If(finishing):
                m.d.sync += valid.eq(0)

        # Issue the lowest pending entry.
        chosen = Signal(range(count))
        for e in reversed(range(count)):
            with m.If(pending[e]):
                m.d.comb += chosen.eq(e)
        m.d.comb += [
            self.o.valid.eq(valid & pending.any()),
            self.o.payload.value.eq(value),
            self.o.payload.code.eq(Array(codes)[chosen]),
            self.o.payload.row.eq(base + Array(consumed)[chosen] - 1),
            self.activity.eq(Mux(valid, Mux(pending.any(), Activity.BUSY, Activity.PADDING), Activity.IDLE)),
        ]
        return m
