"""Pins of the Tang Nano 20K, which amaranth-boards lacks: clock and serial line (Sipeed's schematic: SYS_CLK, SYS_RX
and SYS_TX)."""

from __future__ import annotations

from typing import Any, ClassVar

from amaranth.build import Attrs, Clock, Pins, Resource, Subsignal
from amaranth.vendor import GowinPlatform


class TangNano20kPlatform(GowinPlatform):
    """The BL616 on the board joins the serial line to the USB plug."""

    part = "GW2AR-LV18QN88C8/I7"
    family = "GW2AR-18C"
    default_clk = "clk27"
    resources: ClassVar[list[Any]] = [
        Resource("clk27", 0, Pins("4", dir="i"), Clock(27e6), Attrs(IO_TYPE="LVCMOS33")),
        Resource(
            "uart",
            0,
            Subsignal("rx", Pins("70", dir="i")),
            Subsignal("tx", Pins("69", dir="o")),
            Attrs(IO_TYPE="LVCMOS33"),
        ),
    ]
    connectors: ClassVar[list[Any]] = []
