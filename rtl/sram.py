"""On-chip memory with one write and one synchronous read port, replaceable by a memory of the target technology."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Elaboratable, Module, Shape, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In

from zeroskip.rtl.ports import read_port, write_port


class Sram(wiring.Component):
    """`depth` words of `width` bits.

    A platform that has a method `get_sram(sram)` chooses the implementation: it returns an Elaboratable that
    drives `read.data` (a behavioural model in simulation, a macro in silicon). Elsewhere it is `amaranth.lib.memory`,
    which FPGA tools map to block RAM.

    Latency: `read.data` shows a word in the cycle after `read.en`, and keeps it while `read.en` is low.
    Throughput: one read and one write a cycle. A word that is read and written in the same cycle reads as undefined:
    the surrounding logic must forward it.

    Parameters
    ----------
    depth, width
        Words and bits of a word, each at least 1. ValueError otherwise.
    amid_logic
        The logic on both sides of the memory is in one cycle with it: it should not be far from the memory.

    Ports
    -----
    write : write_port(depth, width), in
        Writes a word.
    read : read_port(depth, width), in
        Reads a word.
    """

    def __init__(self, *, depth: int, width: int, amid_logic: bool = False) -> None:
        if depth < 1 or width < 1:
            raise ValueError(f"depth and width must be at least 1, not {depth} and {width}")
        self.depth = depth
        self.width = width
        self.amid_logic = amid_logic
        super().__init__({"write": In(write_port(depth, width)), "read": In(read_port(depth, width))})

    def elaborate(self, platform: Any) -> Elaboratable:
        if hasattr(platform, "get_sram"):
            return platform.get_sram(self)
        return self.block_ram()

    def block_ram(self) -> Module:
        """The memory that FPGA tools map to block RAM, for platforms that choose among their memories."""
        return self._fpga_ram()

    def lut_ram(self) -> Module:
        """The memory that FPGA tools map to LUT RAM, for platforms that have it."""
        return self._fpga_ram(ram_style="distributed")

    def _fpga_ram(self, **attributes: str) -> Module:
        m = Module()
        add_fpga_ram(m, self.write, self.read, depth=self.depth, width=self.width, **attributes)
        return m


def add_fpga_ram(m: Module, write_to: Any, read_from: Any, *, depth: int, width: int, **attributes: str) -> None:
    """Adds the memory behind the ports of an Sram to `m`, as FPGA tools take it. `attributes` tell them what to make of
    it."""
    # A synchronous read port of amaranth.lib.memory promises the old word where a word is read and written in one
    # cycle; Yosys keeps that promise with registers and multiplexers around the block RAM. A read port without a clock
    # and a register behind it, with `no_rw_check`, promises nothing: Yosys merges them into the block RAM. (On iCE40,
    # whose block RAM shows an unknown word at power-up, only after `setattr -unset init a:uninitialised`.)
    m.submodules.memory = storage = memory.Memory(
        shape=Shape(width), depth=depth, init=[], attrs={"no_rw_check": 1, **attributes}
    )
    write, read = storage.write_port(), storage.read_port(domain="comb")
    shown = Signal(width, reset_less=True, attrs={"uninitialised": 1})
    m.d.comb += [
        write.en.eq(write_to.en),
        write.addr.eq(write_to.addr),
        write.data.eq(write_to.data),
        read.addr.eq(read_from.addr),
        read_from.data.eq(shown),
    ]
    with m.If(read_from.en):
        m.d.sync += shown.eq(read.data)
