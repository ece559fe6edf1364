"""The sums that a dot-product unit has under way."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Shape, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for


class Accumulators(wiring.Component):
    """`slots` words of `width` bits. `r_data` shows the word of `r_slot` in the same cycle; a word is written at the
    end of the cycle. Distributed memory on FPGAs, a register where there is one slot.
    """

    def __init__(self, *, slots: int, width: int) -> None:
        self.slots, self.width = slots, width
        super().__init__(
            {
                "r_slot": In(bits_for(slots)),
                "r_data": Out(width),
                "w_en": In(1),
                "w_slot": In(bits_for(slots)),
                "w_data": In(width),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self.slots == 1:
            word = Signal(self.width)
            with m.If(self.w_en):
                m.d.sync += word.eq(self.w_data)
            m.d.comb += self.r_data.eq(word)
            return m
        m.submodules.storage = storage = memory.Memory(shape=Shape(self.width), depth=self.slots, init=[])
        write, read = storage.write_port(), storage.read_port(domain="comb")
        m.d.comb += [
            write.en.eq(self.w_en),
            write.addr.eq(self.w_slot),
            write.data.eq(self.w_data),
            read.addr.eq(self.r_slot),
            self.r_data.eq(read.data),
        ]
        return m
