"""A linked core behind a USB port."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.link.usb import UsbSerial


class UsbTop(wiring.Component):
    """A core with streams `i` and `o` of bytes, as LinkedArray, behind a serial port on USB (zeroskip.rtl.link.usb,
    which names the ports and the domains).

    Parameters
    ----------
    linked : Component
        With the ports of LinkedArray.
    """

    def __init__(self, linked: Any) -> None:
        self.linked = linked
        super().__init__(
            {
                "d_p": In(1),
                "d_n": In(1),
                "drive": Out(1),
                "d_p_out": Out(1),
                "d_n_out": Out(1),
                "pull_up": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.linked = linked = self.linked
        m.submodules.port = port = UsbSerial()
        m.d.comb += [
            port.d_p.eq(self.d_p),
            port.d_n.eq(self.d_n),
            self.drive.eq(port.drive),
            self.d_p_out.eq(port.d_p_out),
            self.d_n_out.eq(port.d_n_out),
            self.pull_up.eq(port.pull_up),
        ]
        wiring.connect(m, port.o, linked.i)
        wiring.connect(m, linked.o, port.i)
        return m
