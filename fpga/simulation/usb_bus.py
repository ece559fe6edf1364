"""The two lines of USB between a simulated host and a device."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out


class UsbBus(wiring.Component):
    """A device (UsbTop) at the lines that a host drives. What nobody drives is pulled: up by the device at D+, down by
    the host at both.

    Ports
    -----
    host_drive, host_d_p, host_d_n : 1, in
        The host drives both lines.
    drive, d_p, d_n : 1, out
        The device drives; the lines.
    clash : 1, out
        Both have driven at once.
    """

    def __init__(self, device: Any) -> None:
        self.device = device
        super().__init__(
            {
                "host_drive": In(1),
                "host_d_p": In(1),
                "host_d_n": In(1),
                "drive": Out(1),
                "d_p": Out(1),
                "d_n": Out(1),
                "clash": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.device = device = self.device
        m.d.comb += [
            self.drive.eq(device.drive),
            self.d_p.eq(Mux(device.drive, device.d_p_out, Mux(self.host_drive, self.host_d_p, device.pull_up))),
            self.d_n.eq(Mux(device.drive, device.d_n_out, self.host_drive & self.host_d_n)),
            device.d_p.eq(self.d_p),
            device.d_n.eq(self.d_n),
        ]
        with m.If(device.drive & self.host_drive):
            m.d.usb += self.clash.eq(1)
        return m
