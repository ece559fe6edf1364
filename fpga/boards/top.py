"""The top of every board: clock and reset, the pins of the serial port or of USB, and what talks over them."""

from __future__ import annotations

from typing import Any

from amaranth.build import Attrs, Pins, Resource, Subsignal
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import io

from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.clock import BoardClock


class BoardTop(Elaboratable):
    """`core` runs at `mhz`, and has the ports of SerialTop or, where the board's carrier is USB, of UsbTop, which go to
    the pins."""

    def __init__(self, board: Board, mhz: float, core: Any) -> None:
        self.board = board
        self.clock = BoardClock(board, mhz)
        self.core = core

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.domains.sync = ClockDomain()
        m.submodules.clock = self.clock
        m.submodules.core = self.core
        if self.board.carrier == "usb":
            m.domains.usb = ClockDomain()
            self._usb_pins(m, platform)
        else:
            self._serial_pins(m, platform)
        return m

    def _serial_pins(self, m: Module, platform: Any) -> None:
        if self.board.uart is not None:
            platform.add_resources([_serial_port(*self.board.uart)])
        pins = platform.request("uart", 0, dir={"rx": "-", "tx": "-"} | dict.fromkeys(_unused(platform), "-"))
        m.submodules.rx = rx = io.Buffer("i", pins.rx)
        m.submodules.tx = tx = io.Buffer("o", pins.tx)
        m.d.comb += [self.core.rx.eq(rx.i), tx.o.eq(self.core.tx)]

    def _usb_pins(self, m: Module, platform: Any) -> None:
        pins = platform.request("usb", 0, dir={"d_p": "-", "d_n": "-", "pullup": "-"})
        m.submodules.d_p = d_p = io.Buffer("io", pins.d_p)
        m.submodules.d_n = d_n = io.Buffer("io", pins.d_n)
        m.submodules.pull_up = pull_up = io.Buffer("o", pins.pullup)
        core = self.core
        m.d.comb += [
            core.d_p.eq(d_p.i),
            core.d_n.eq(d_n.i),
            d_p.o.eq(core.d_p_out),
            d_n.o.eq(core.d_n_out),
            d_p.oe.eq(core.drive),
            d_n.oe.eq(core.drive),
            pull_up.o.eq(core.pull_up),
        ]


def _serial_port(rx: str, tx: str) -> Resource:
    """A serial port on two pins of the board's connector `io`."""
    return Resource(
        "uart",
        0,
        Subsignal("rx", Pins(rx, dir="i", conn=("io", 0))),
        Subsignal("tx", Pins(tx, dir="o", conn=("io", 0))),
        Attrs(IO_TYPE="LVCMOS33"),
    )


def _unused(platform: Any) -> list[str]:
    """The other signals of the board's serial port: the tools leave their pins open."""
    return [part.name for part in platform.lookup("uart", 0).ios if part.name not in ("rx", "tx")]
