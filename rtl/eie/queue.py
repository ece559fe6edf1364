"""Activation queue of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.layouts import column_layout
from zeroskip.rtl.word_store import WordStore


class ActivationQueue(wiring.Component):
    """Balances the load of the PEs (EIE section IV, activation queue): columns in, columns out, in order.

    The paper queues every broadcast activation in front of the pointer read unit. This queue follows it and holds
    only columns that have entries in this PE: other columns need no place and no cycle. The broadcast stops when the
    queue holds `queue_full` columns; `queue_places` columns fit.

    The output is read in the same cycle; the buffered FIFO of amaranth.lib.fifo, which has block RAM too, would show a
    column one cycle later.

    Latency: a column is at `o` in the cycle after it was taken at `i`. Throughput: one column a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of column_layout, in
        Columns from the pointer read unit.
    o : stream of column_layout, out
        The same columns in the same order.
    level : range(queue_places + 1), out
        Columns that the queue holds.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(column_layout(geometry))),
                "o": Out(stream.Signature(column_layout(geometry))),
                "level": Out(range(geometry.queue_places + 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        places = self.geometry.queue_places
        # The first column stands in a register, the others in a memory behind it.
        others = places - 1
        layout = column_layout(self.geometry)
        m.submodules.words = words = WordStore(depth=others, width=layout.size)
        head = Signal(layout.size, reset_less=True)
        enters, leaves = self.i.valid & self.i.ready, self.o.valid & self.o.ready
        second, end = Signal(range(others)), Signal(range(others))
        has_others = self.level[1:].any()

        def after(place: Value) -> Value:
            return Mux(place == others - 1, 0, place + 1)

        m.d.comb += [
            self.i.ready.eq(self.level != places),
            self.o.payload.eq(head),
            # A column that becomes the first one leaves its place in the memory to the next.
            words.write.en.eq(enters),
            words.write.addr.eq(end),
            words.write.data.eq(self.i.payload),
            words.following.eq(Mux(leaves & has_others, after(second), second)),
        ]
        # Whether a column leaves is known last, and by `o.valid`: little is left to do then.
        m.d.sync += [
            self.o.valid.eq(enters | Mux(leaves, has_others, self.o.valid)),
            self.level.eq(Mux(leaves, self.level - ~enters, self.level + enters)),
            second.eq(words.following),
        ]
        with m.If(leaves | ~self.o.valid):
            m.d.sync += head.eq(Mux(has_others, words.o, self.i.payload))
        with m.If(enters & (has_others | (self.o.valid & ~leaves))):
            m.d.sync += end.eq(after(end))
        return m
