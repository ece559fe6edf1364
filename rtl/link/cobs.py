"""Consistent Overhead Byte Stuffing (Cheshire and Baker, SIGCOMM 1997): frames without zeros, and a zero after each."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.sram import Sram

BLOCK = 254
"""The most bytes of a block."""

DECODED = data.StructLayout({"data": 8, "end": 1, "cut": 1})
"""A byte of a frame; or, with `end`, no byte but the frame's end. It was `cut` if the end came inside a block."""

BYTES = data.StructLayout({"data": 8, "end": 1})
"""A byte of a frame; `end` comes with the last."""


class CobsDecoder(wiring.Component):
    """Takes the stuffing off. Zeros that follow a zero are no frames.

    Latency: one cycle. Throughput: one byte a cycle.

    Ports
    -----
    i : stream of 8, in
        Stuffed bytes.
    o : stream of DECODED, out
        Frames.
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(8)), "o": Out(stream.Signature(DECODED))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        inside = Signal()
        left = Signal(8)
        full = Signal()
        take = Signal()
        ends = Signal()
        code = Signal()
        m.d.comb += [
            self.i.ready.eq(~self.o.valid | self.o.ready),
            take.eq(self.i.valid & self.i.ready),
            ends.eq(self.i.payload == 0),
            code.eq(left == 0),
        ]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.If(take):
            m.d.sync += [
                inside.eq(~ends),
                self.o.payload.data.eq(self.i.payload),
                self.o.payload.end.eq(ends),
                self.o.payload.cut.eq(~code),
                left.eq(left - 1),
                self.o.valid.eq(1),
            ]
            with m.If(ends):
                m.d.sync += [left.eq(0), self.o.valid.eq(inside)]
            with m.Elif(code):
                # A block stands for a zero after it, unless it is full, or the last.
                m.d.sync += [
                    left.eq(self.i.payload - 1),
                    full.eq(self.i.payload == BLOCK + 1),
                    self.o.payload.data.eq(0),
                    self.o.valid.eq(inside & ~full),
                ]
        return m


class CobsEncoder(wiring.Component):
    """Stuffs frames, and puts a zero after each.

    The length of a block goes before its bytes: they are staged in a memory, and committed when the block is complete.
    Committed bytes leave while the next block is staged.

    Latency: a byte leaves at the earliest 4 cycles after its block is complete, that is after the next zero, the last
    byte of the frame, or BLOCK bytes. Throughput: one byte in three cycles.

    Ports
    -----
    i : stream of BYTES, in
        Frames.
    o : stream of 8, out
        Stuffed bytes.
    """

    def __init__(self) -> None:
        super().__init__({"i": In(stream.Signature(BYTES)), "o": Out(stream.Signature(8))})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        # Two blocks.
        m.submodules.memory = memory = Sram(depth=512, width=8)
        begin = Signal(9)
        at = Signal(9, init=1)
        count = Signal(8, init=1)
        committed = Signal(9)
        sent = Signal(9)
        room = Signal()
        byte = Signal(8)
        end = Signal()
        # A byte takes at most three more places, and the comparison is a byte late.
        m.d.sync += room.eq((sent - at)[:9] > 6)

        def write(address: Any, value: Any) -> list[Any]:
            return [memory.write.en.eq(1), memory.write.addr.eq(address), memory.write.data.eq(value)]

        def commit(beyond: Any) -> list[Any]:
            return [committed.eq(beyond), begin.eq(beyond), at.eq(beyond + 1), count.eq(1)]

        with m.FSM():
            with m.State("Take"):
                m.d.comb += self.i.ready.eq(room)
                m.d.sync += [byte.eq(self.i.payload.data), end.eq(self.i.payload.end)]
                with m.If(self.i.valid & self.i.ready):
                    m.next = "Stage"
            with m.State("Stage"):
                with m.If(byte == 0):
                    m.d.comb += write(begin, count)
                    m.d.sync += commit(at)
                    m.next = "Take"
                    with m.If(end):
                        m.next = "Finish"
                with m.Else():
                    m.d.comb += write(at, byte)
                    m.d.sync += [at.eq(at + 1), count.eq(count + 1)]
                    m.next = "Take"
                    with m.If(count == BLOCK):
                        m.next = "Full"
                    with m.If(end):
                        m.next = "Finish"
            with m.State("Full"):
                m.d.comb += write(begin, BLOCK + 1)
                m.d.sync += commit(at)
                m.next = "Take"
            with m.State("Finish"):
                # The last block of a frame stands for no zero.
                m.d.comb += write(begin, count)
                m.next = "Delimit"
            with m.State("Delimit"):
                m.d.comb += write(at, 0)
                m.d.sync += commit(at + 1)
                m.next = "Take"

        self._send(m, memory, committed, sent)
        return m

    def _send(self, m: Module, memory: Sram, committed: Signal, sent: Signal) -> None:
        m.d.comb += memory.read.addr.eq(sent)
        with m.FSM(name="sender"):
            with m.State("Read"):
                m.d.comb += memory.read.en.eq(sent != committed)
                with m.If(memory.read.en):
                    m.next = "Register"
            with m.State("Register"):
                # Block RAM is slow to show a word.
                m.d.sync += [self.o.payload.eq(memory.read.data), self.o.valid.eq(1), sent.eq(sent + 1)]
                m.next = "Hand over"
            with m.State("Hand over"):
                with m.If(self.o.ready):
                    m.d.sync += self.o.valid.eq(0)
                    m.next = "Read"
