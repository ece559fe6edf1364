"""A linked core behind a serial line."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.link.uart import UartReceiver, UartSender


class SerialTop(wiring.Component):
    """A core with streams `i` and `o` of bytes, as LinkedArray, behind a UART.

    Parameters
    ----------
    linked : Component
        With the ports of LinkedArray.
    clock, baud : float
        The clock, and bits a second on the line, both in Hz (zeroskip.rtl.link.uart). ValueError for others.

    Ports
    -----
    rx : 1, in
        The line from the host.
    tx : 1, out
        The line to the host.
    """

    def __init__(self, linked: Any, *, clock: float, baud: float) -> None:
        self.linked = linked
        self.receiver = UartReceiver(clock=clock, baud=baud)
        self.sender = UartSender(clock=clock, baud=baud)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.linked = linked = self.linked
        m.submodules.receiver = receiver = self.receiver
        m.submodules.sender = sender = self.sender
        m.d.comb += [receiver.rx.eq(self.rx), self.tx.eq(sender.tx), linked.broken.eq(receiver.broken)]
        wiring.connect(m, receiver.o, linked.i)
        wiring.connect(m, linked.o, sender.i)
        return m
