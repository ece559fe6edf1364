"""A flag for each row of an activation file."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.ports import write_port


class RowFlags(wiring.Component):
    """`rows` flags that are emptied in one cycle, in words of `group` flags.

    The words are a memory that is read without a clock (LUT RAM on an FPGA), which takes far less logic than as many
    flip-flops with a decoder. To empty it, each word has a mark that it holds flags: a word without it reads as zero,
    and the first flag that is written into it replaces its other flags by zeros.

    Latency: `o` follows `index`, and `flag` follows `row`, in the same cycle; they show a flag in the cycle after its
    write. Throughput: one access a cycle through each port.

    Parameters
    ----------
    rows
        Number of flags.
    group
        Flags of a word, a power of two.

    Ports
    -----
    write : write_port(rows, 1), in
        Writes the flag of a row.
    clear : 1, in
        Empties all; a write of the same cycle is lost too.
    index : bits_for(rows / group, rounded up), in
        A word.
    o : group, out
        The flags of rows `index * group` and up.
    row : bits_for(rows), in
        A row.
    flag : 1, out
        Its flag.
    """

    def __init__(self, rows: int, group: int) -> None:
        self.group = group
        self.words = -(-rows // group)
        super().__init__(
            {
                "write": In(write_port(rows, 1)),
                "clear": In(1),
                "index": In(bits_for(self.words)),
                "o": Out(group),
                "row": In(bits_for(rows)),
                "flag": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.storage = storage = memory.Memory(shape=self.group, depth=self.words, init=[])
        write = storage.write_port()
        before, shown, single = (storage.read_port(domain="comb") for _ in range(3))
        holds = Signal(self.words)

        shift = self.group.bit_length() - 1
        place = self.write.addr[:shift]
        word = Signal(bits_for(self.words))
        m.d.comb += [
            word.eq(self.write.addr >> shift),
            before.addr.eq(word),
            write.en.eq(self.write.en),
            write.addr.eq(word),
            shown.addr.eq(self.index),
            self.o.eq(Mux(holds.bit_select(self.index, 1), shown.data, 0)),
            single.addr.eq(self.row >> shift),
            self.flag.eq(holds.bit_select(single.addr, 1) & single.data.bit_select(self.row[:shift], 1)),
        ]
        held = holds.bit_select(word, 1)
        for flag in range(self.group):
            m.d.comb += write.data[flag].eq(Mux(place == flag, self.write.data, held & before.data[flag]))
        with m.If(self.write.en):
            m.d.sync += holds.bit_select(word, 1).eq(1)
        with m.If(self.clear):
            m.d.sync += holds.eq(0)
        return m
