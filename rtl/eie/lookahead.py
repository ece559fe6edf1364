"""Look-ahead over the entries of a memory word."""

from __future__ import annotations

from collections.abc import Iterable
from functools import reduce
from operator import or_
from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import Activity, update_layout, word_layout
from zeroskip.rtl.flags import at_least


class LookAhead(wiring.Component):
    """Splits a word into updates, one a cycle, and skips its padding entries.

    The paper spends a cycle on each padding entry. Here the entries' numbers of rows are added up when a word
    arrives: every entry's row is known, and only entries with a weight are issued. A word that holds only
    padding of its column takes one cycle, during which updates of the previous word may still be issued.

    Two stages follow the word at `i`:

        issue    the sums of the entries' skips, in each half of the word, stand in registers; the lowest pending
                 entry is chosen
        o        the rows before the half are added to the chosen entry's sum

    Latency: the first update of a word is at `o` two cycles after the word was taken at `i`. Throughput: one update
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
    busy : 1, out
        High while an update is in the stages.
    activity : Activity, out
        What the cycle was used for: the update at `o`, or else a word of padding that was taken two cycles ago.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(word_layout(geometry))),
                "o": Out(stream.Signature(update_layout(geometry), always_ready=True)),
                "busy": Out(1),
                "activity": Out(Activity),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        count = geometry.entries_per_word
        row_bits = bits_for(geometry.activation_rows)
        word = self.i.payload
        weights = word.weights
        taken = self.i.valid & self.i.ready

        # An entry advances by one row beside its skip. So entry e of a word lies in row `start + e + sums[e]`, and if
        # it is in the second half of the word, the sum of the first half comes on top. The next word of the column
        # starts after `count` entries and the sums of both halves.
        middle = count // 2
        skips = [entry.skip for entry in word.entries]
        sums = self._prefix_sums(skips[:middle]) + self._prefix_sums(skips[middle:])
        start = Signal(row_bits)
        following = Signal(row_bits, reset_less=True)
        first_half = Signal(row_bits, reset_less=True)
        second_half = Signal(row_bits, reset_less=True)
        m.d.comb += start.eq(Mux(word.first, -word.low, following + (first_half + second_half)))
        with m.If(taken):
            m.d.sync += [following.eq(start + count), second_half.eq(sums[-1])]
            if middle:
                m.d.sync += first_half.eq(sums[middle - 1])

        # issue: the updates of one word; those that are `pending` have not been issued yet.
        value = Signal(VALUE_BITS, reset_less=True)
        codes = [Signal(geometry.code_bits, name=f"code_{e}", reset_less=True) for e in range(count)]
        rows = [Signal(row_bits, name=f"rows_{e}", reset_less=True) for e in range(count)]
        base = Signal(row_bits, reset_less=True)
        pending = Signal(count)
        several = Signal()
        lowest = Signal(count)
        rest = Signal(count)
        m.d.comb += [
            *(lowest[e].eq(pending[e] & ~pending[:e].any()) for e in range(count)),
            rest.eq(pending & ~lowest),
            self.i.ready.eq(~several | ~weights.any()),
        ]
        m.d.sync += [pending.eq(rest), several.eq(at_least(rest, 2))]
        with m.If(taken & weights.any()):
            m.d.sync += [
                pending.eq(weights),
                several.eq(at_least(weights, 2)),
                value.eq(word.value),
                base.eq(start),
            ]
            for e in range(count):
                m.d.sync += [codes[e].eq(word.entries[e].code), rows[e].eq(sums[e])]

        def of_lowest(values: Iterable[Value]) -> Value:
            return reduce(or_, (value & lowest[e].replicate(len(value)) for e, value in enumerate(values)))

        # o
        in_first_half = Signal(row_bits, reset_less=True)
        in_own_half = Signal(row_bits, reset_less=True)
        unskipped = Signal(row_bits, reset_less=True)
        update = Signal.like(self.o.payload, reset_less=True)
        m.d.sync += self.o.valid.eq(pending.any())
        with m.If(pending.any()):
            m.d.sync += [
                update.value.eq(value),
                update.code.eq(of_lowest(codes)),
                in_own_half.eq(of_lowest(rows)),
                in_first_half.eq(Mux(pending[:middle].any(), 0, rows[middle - 1]) if middle else 0),
                unskipped.eq(base + of_lowest(Const(e, range(count)) for e in range(count))),
            ]
        m.d.comb += [
            self.o.payload.value.eq(update.value),
            self.o.payload.code.eq(update.code),
            self.o.payload.row.eq(unskipped + (in_first_half + in_own_half)),
            self.busy.eq(pending.any() | self.o.valid),
        ]

        passing = Signal()
        passed = Signal()
        m.d.sync += [passing.eq(self.i.valid & ~weights.any()), passed.eq(passing)]
        m.d.comb += self.activity.eq(Mux(self.o.valid, Activity.BUSY, Mux(passed, Activity.PADDING, Activity.IDLE)))
        return m

    def _prefix_sums(self, terms: list[Value]) -> list[Value]:
        """The sums of the first 1, 2, ... terms, modulo the rows of the activation file, in a tree: the sums of the
        second half continue the last one of the first half."""
        if len(terms) <= 1:
            return terms
        middle = len(terms) // 2
        first, second = (self._prefix_sums(half) for half in (terms[:middle], terms[middle:]))
        return first + [(first[-1] + part)[: bits_for(self.geometry.activation_rows)] for part in second]
