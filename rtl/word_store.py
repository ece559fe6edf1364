"""A small memory whose words are read in the cycle in which their address is known."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Elaboratable, Module, Shape, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.ports import read_port, write_port
from zeroskip.rtl.sram import add_fpga_ram


class WordStore(wiring.Component):
    """`depth` words of `width` bits, of which one is shown: that of the address `following` of the cycle before.

    The user has a register with the address, and gives the value that it will have in the next cycle. So the memory can
    be look-up tables that are read without a clock, or block RAM, with the same cycles. A platform that has a method
    `get_word_store(store)` chooses: it returns an Elaboratable that drives `o`. Elsewhere it is a memory with a read
    port without a clock.

    Latency: none. Throughput: one read and one write a cycle. A word that is written is shown from the next cycle on.

    Parameters
    ----------
    depth, width
        Words and bits of a word, each at least 1. ValueError otherwise.

    Ports
    -----
    write : write_port(depth, width), in
        Writes a word.
    following : bits_for(depth), in
        The address of the word that is shown in the next cycle. The first one after a reset is 0.
    o : width, out
        The word.
    """

    def __init__(self, *, depth: int, width: int) -> None:
        if depth < 1 or width < 1:
            raise ValueError(f"depth and width must be at least 1, not {depth} and {width}")
        self.depth = depth
        self.width = width
        super().__init__(
            {"write": In(write_port(depth, width)), "following": In(bits_for(depth)), "o": Out(width)},
        )

    def elaborate(self, platform: Any) -> Elaboratable:
        if hasattr(platform, "get_word_store"):
            chosen: Elaboratable = platform.get_word_store(self)
            return chosen
        m = Module()
        m.submodules.words = words = memory.Memory(shape=Shape(self.width), depth=self.depth, init=[])
        write, read = words.write_port(), words.read_port(domain="comb")
        address = Signal.like(self.following)
        m.d.sync += address.eq(self.following)
        m.d.comb += [
            write.en.eq(self.write.en),
            write.addr.eq(self.write.addr),
            write.data.eq(self.write.data),
            read.addr.eq(address),
            self.o.eq(read.data),
        ]
        return m

    def block_ram(self) -> Module:
        """The memory that FPGA tools map to block RAM, with a register for a word that is written while it is read."""
        m = Module()
        words: Any = read_port(self.depth, self.width).create()
        add_fpga_ram(m, self.write, words, depth=self.depth, width=self.width, ram_style="block")
        passed = Signal(self.width, reset_less=True)
        passes = Signal()
        m.d.comb += [words.en.eq(1), words.addr.eq(self.following)]
        m.d.sync += [
            passed.eq(self.write.data),
            passes.eq(self.write.en & (self.write.addr == self.following)),
        ]
        with m.If(passes):
            m.d.comb += self.o.eq(passed)
        with m.Else():
            m.d.comb += self.o.eq(words.data)
        return m
