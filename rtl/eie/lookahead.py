"""Look-ahead over the entries of a memory word."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array, Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import Activity, update_layout, word_layout


class LookAhead(wiring.Component):
    """Splits a word into updates, one a cycle, and skips its padding entries.

    The paper spends a cycle on each padding entry. Here the entries' numbers of rows are added up when a word
    arrives: every entry's row is known, and only entries with a weight are issued. A word that holds only
    padding of its column takes one cycle, during which updates of the previous word may still be issued.

    Latency: the first update of a word is at `o` in the cycle after the word was taken at `i`. Throughput: one update
    a cycle, without a bubble between words that hold weights. `o` has no back-pressure.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of word_layout, in
        Words of the sparse matrix, column by column.
    o : stream of update_layout, always ready, out
        One update for each entry that is not padding.
    activity : Activity, out
        What the cycle was used for: an update, or else a word of padding that was taken in the previous cycle.
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
        # Which entries of the word at `i` hold weights, and the numbers of rows up to and including each entry.
        weights, totals = self._add_up(m)

        # The updates of one word; those that are `pending` have not been issued yet.
        value = Signal(VALUE_BITS)
        codes = [Signal(geometry.code_bits, name=f"code_{e}") for e in range(count)]
        rows = [Signal(row_bits, name=f"row_{e}") for e in range(count)]
        pending = Signal(count)
        rest = pending & (pending - 1)

        m.d.comb += self.i.ready.eq((rest == 0) | ~weights.any())
        m.d.sync += pending.eq(rest)
        with m.If(self.i.valid & self.i.ready & weights.any()):
            m.d.sync += [pending.eq(weights), value.eq(self.i.payload.value)]
            for e in range(count):
                m.d.sync += [codes[e].eq(self.i.payload.entries[e].code), rows[e].eq(totals[e] - 1)]

        # Issue the lowest pending entry.
        chosen = Signal(range(count))
        for e in reversed(range(count)):
            with m.If(pending[e]):
                m.d.comb += chosen.eq(e)
        m.d.comb += [
            self.o.valid.eq(pending.any()),
            self.o.payload.value.eq(value),
            self.o.payload.code.eq(Array(codes)[chosen]),
            self.o.payload.row.eq(Array(rows)[chosen]),
        ]
        passed = Signal()
        m.d.sync += passed.eq(self.i.valid & ~weights.any())
        m.d.comb += self.activity.eq(Mux(pending.any(), Activity.BUSY, Mux(passed, Activity.PADDING, Activity.IDLE)))
        return m

    def _add_up(self, m: Module) -> tuple[Signal, list[Any]]:
        """For the word at `i`: a flag for each entry of the column that has a weight, and the number of rows that the
        column has advanced up to and including each entry, modulo the size of the activation file."""
        word = self.i.payload
        count, row_bits = self.geometry.entries_per_word, bits_for(self.geometry.activation_rows)
        weights = Signal(count)
        # `carried` is the number of rows that the column's earlier words advanced.
        carried = Signal(row_bits)
        base = Signal(row_bits)
        totals: list[Any] = [0]
        for e in range(count):
            inside = (e >= word.low) & (e <= word.high)
            m.d.comb += weights[e].eq(inside & word.entries[e].code.any())
            totals.append((totals[-1] + Mux(inside, word.entries[e].skip + 1, 0))[:row_bits])
        m.d.comb += base.eq(Mux(word.first, 0, carried))
        with m.If(self.i.valid & self.i.ready):
            m.d.sync += carried.eq(base + totals[-1])
        return weights, [base + total for total in totals[1:]]
