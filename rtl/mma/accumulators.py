"""The unfinished sums of a dot-product unit."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In

from zeroskip.rtl.ports import lookup_port, write_port


class Accumulators(wiring.Component):
    """`slots` words of `width` bits: distributed memory on FPGAs, a register if there is one slot.

    Latency: a word is read in the same cycle, and written at the end of the cycle. Throughput: one read and one write a
    cycle; a word that is read in the cycle in which it is written shows its old value.

    Parameters
    ----------
    slots, width
        Words and bits of a word.

    Ports
    -----
    read : lookup_port(slots, width), in
        Reads a word.
    write : write_port(slots, width), in
        Writes a word.
    """

    def __init__(self, *, slots: int, width: int) -> None:
        self.slots, self.width = slots, width
        super().__init__({"read": In(lookup_port(slots, width)), "write": In(write_port(slots, width))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self.slots == 1:
            word = Signal(self.width)
            with m.If(self.write.en):
                m.d.sync += word.eq(self.write.data)
            m.d.comb += self.read.data.eq(word)
            return m
        m.submodules.storage = storage = memory.Memory(shape=Shape(self.width), depth=self.slots, init=[])
        read = storage.read_port(domain="comb")
        wiring.connect(m, wiring.flipped(self.write), storage.write_port())
        m.d.comb += [read.addr.eq(self.read.addr), self.read.data.eq(read.data)]
        return m
