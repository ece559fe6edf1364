"""Reads the memories that hold requests, byte by byte."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.ports import read_port


class RequestReader(wiring.Component):
    """The next byte of the buffer, or of the boot memory.

    Throughput: one byte in three cycles: the memories' outputs are registered, as block RAM is slow to show a word.

    Parameters
    ----------
    buffer, boot : int
        Bytes of the buffer and of the boot memory.

    Ports
    -----
    committed : bits_for(buffer), in
        Requests in the buffer end before this place.
    released : bits_for(buffer), out
        Requests before this place were taken.
    boot : 1, in
        Bytes come from the boot memory. May change while no byte is wanted.
    jump : 1, in
        The next byte of the boot memory is that at `place`.
    place : bits_for(boot), in
        See `jump`.
    o : stream of 8, out
        Bytes.
    buffer_read : read_port(buffer, 8), out
        Reads the buffer.
    boot_read : read_port(boot, 8), out
        Reads the boot memory.
    """

    def __init__(self, *, buffer: int, boot: int) -> None:
        self.sizes = {"buffer": buffer, "boot": boot}
        super().__init__(
            {
                "committed": In(bits_for(buffer)),
                "released": Out(bits_for(buffer)),
                "boot": In(1),
                "jump": In(1),
                "place": In(bits_for(boot)),
                "o": Out(stream.Signature(8)),
                "buffer_read": Out(read_port(buffer, 8)),
                "boot_read": Out(read_port(boot, 8)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        from_boot = Signal()
        stale = Signal()
        # A byte that was read ahead from the other memory, or another place, is read again when its turn comes.
        m.d.comb += [self.buffer_read.addr.eq(self.released), stale.eq(self.jump | (self.boot != from_boot))]
        with m.FSM():
            with m.State("Read"):
                m.d.comb += [
                    self.boot_read.en.eq(self.boot),
                    self.buffer_read.en.eq(~self.boot & (self.released != self.committed)),
                ]
                m.d.sync += from_boot.eq(self.boot)
                with m.If(~self.jump & (self.boot_read.en | self.buffer_read.en)):
                    m.next = "Register"
            with m.State("Register"):
                m.d.sync += self.o.payload.eq(Mux(from_boot, self.boot_read.data, self.buffer_read.data))
                m.next = "Offer"
                with m.If(stale):
                    m.next = "Read"
            with m.State("Offer"):
                m.d.comb += self.o.valid.eq(~stale)
                with m.If(stale):
                    m.next = "Read"
                with m.Elif(self.o.ready):
                    with m.If(from_boot):
                        m.d.sync += self.boot_read.addr.eq(self.boot_read.addr + 1)
                    with m.Else():
                        m.d.sync += self.released.eq(self.released + 1)
                    m.next = "Read"
        with m.If(self.jump):
            m.d.sync += self.boot_read.addr.eq(self.place)
        return m
