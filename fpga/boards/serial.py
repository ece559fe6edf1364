"""A core behind a serial line."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.link.uart import UartReceiver, UartSender


class SerialCore(wiring.Component):
    """A core with streams `i` and `o` of bytes, and its serial line.

    Parameters
    ----------
    core : component
        With the ports of zeroskip.fpga.tops.
    clock, baud : float
        The clock, and bits a second on the line, both in Hz. ValueError where the clock is too slow or too fast for it.

    Ports
    -----
    rx : 1, in
        The line to the core, from another clock.
    tx : 1, out
        The line from the core.
    """

    def __init__(self, core: Any, *, clock: float, baud: float) -> None:
        self.core = core
        self.receiver = UartReceiver(clock=clock, baud=baud)
        self.sender = UartSender(clock=clock, baud=baud)
        super().__init__({"rx": In(1, init=1), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.receiver, m.submodules.sender = self.receiver, self.sender
        m.submodules.core = self.core
        wiring.connect(m, self.receiver.o, self.core.i)
        wiring.connect(m, self.core.o, self.sender.i)
        m.d.comb += [
            self.receiver.rx.eq(self.rx),
            self.tx.eq(self.sender.tx),
            self.core.broken.eq(self.receiver.broken),
        ]
        return m
