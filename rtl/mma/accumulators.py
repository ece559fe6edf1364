"""The unfinished sums of a dot-product unit."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Shape, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.ports import write_port


class Accumulators(wiring.Component):
    """`slots` words of `width` bits, each the sum so far of one chain of steps: distributed memory on FPGAs, a register
    if there is one slot.

    Latency: a word is read in one cycle and shown in the next. A word that is written in the cycle in which it is read,
    or in the one before, is shown as it was written, so that the memory does not lengthen the loop. Throughput: one
    read and one write a cycle.

    Parameters
    ----------
    slots, width
        Words and bits of a word.

    Ports
    -----
    first : 1, in
        Show `begin` instead of a word in the next cycle: a sum begins.
    begin : width, in
        What it begins with.
    slot : bits_for(slots), in
        The word to show in the next cycle.
    before : width, out
        What was asked for in the cycle before.
    write : write_port(slots, width), in
        Writes a word.
    written : width, out
        The word that was written last, if there was one in the cycle before.
    """

    def __init__(self, *, slots: int, width: int) -> None:
        self.slots, self.width = slots, width
        super().__init__(
            {
                "first": In(1),
                "begin": In(width),
                "slot": In(bits_for(slots)),
                "before": Out(width),
                "write": In(write_port(slots, width)),
                "written": Out(width),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        fetched, forward = Signal(self.width), Signal()
        m.d.comb += self.before.eq(Mux(forward, self.written, fetched))
        if self.slots == 1:
            m.d.sync += [fetched.eq(self.begin), forward.eq(~self.first)]
            with m.If(self.write.en):
                m.d.sync += self.written.eq(self.write.data)
            return m
        m.submodules.storage = storage = memory.Memory(shape=Shape(self.width), depth=self.slots, init=[])
        # A sum is there late in its cycle, and the memory lies away from the adder: it is written in the next cycle.
        stores, store_slot = Signal(), Signal.like(self.slot)
        store, read = storage.write_port(), storage.read_port(domain="comb")
        m.d.comb += [
            store.en.eq(stores),
            store.addr.eq(store_slot),
            store.data.eq(self.written),
            read.addr.eq(self.slot),
        ]
        word = Mux(stores & (store_slot == self.slot), self.written, read.data)
        m.d.sync += [
            fetched.eq(Mux(self.first, self.begin, word)),
            forward.eq(self.write.en & (self.write.addr == self.slot) & ~self.first),
            self.written.eq(self.write.data),
            stores.eq(self.write.en),
            store_slot.eq(self.write.addr),
        ]
        return m
