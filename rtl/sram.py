"""On-chip memory with one write and one synchronous read port, replaceable by what a technology offers."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Elaboratable, Module, Shape
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for


class Sram(wiring.Component):
    """`depth` words of `width` bits.

    Latency: `r_data` shows the word at `r_addr` in the cycle after `r_en`, and keeps it while `r_en` is low.
    Throughput: one read and one write a cycle. A word that is read and written in the same cycle reads as undefined:
    users forward it.

    A platform that has a method `get_sram(sram)` decides what the memory is made of: it returns an Elaboratable that
    drives `r_data` (the simulators take a behavioural model, silicon a macro). Elsewhere it is `amaranth.lib.memory`,
    which FPGA tools map to block RAM.
    """

    def __init__(self, *, depth: int, width: int) -> None:
        if depth < 1 or width < 1:
            raise ValueError(f"depth and width must be at least 1, not {depth} and {width}")
        self.depth = depth
        self.width = width
        address = bits_for(depth)
        super().__init__(
            {
                "w_en": In(1),
                "w_addr": In(address),
                "w_data": In(width),
                "r_en": In(1),
                "r_addr": In(address),
                "r_data": Out(width),
            }
        )

    def elaborate(self, platform: Any) -> Elaboratable:
        if hasattr(platform, "get_sram"):
            return platform.get_sram(self)
        m = Module()
        m.submodules.memory = storage = memory.Memory(shape=Shape(self.width), depth=self.depth, init=[])
        write, read = storage.write_port(), storage.read_port()
        m.d.comb += [
            write.en.eq(self.w_en),
            write.addr.eq(self.w_addr),
            write.data.eq(self.w_data),
            read.en.eq(self.r_en),
            read.addr.eq(self.r_addr),
            self.r_data.eq(read.data),
        ]
        return m
