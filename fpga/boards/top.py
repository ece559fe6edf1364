"""The top of every board: clock and reset, the two pins of the serial port, and what talks over them."""

from __future__ import annotations

from typing import Any

from amaranth.build import Attrs, Pins, Resource, Subsignal
from amaranth.hdl import ClockDomain, Elaboratable, Module
from amaranth.lib import io, wiring

from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.boards.clock import BoardClock


class BoardTop(Elaboratable):
    """`serial` has the ports `rx` (1, in) and `tx` (1, out), which go to the board's serial port; it runs at `mhz`."""

    def __init__(self, board: Board, mhz: float, serial: wiring.Component) -> None:
        self.board = board
        self.clock = BoardClock(board, mhz)
        self.serial = serial

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        if self.board.uart is not None:
            platform.add_resources([_serial_port(*self.board.uart)])
        pins = platform.request("uart", 0, dir={"rx": "-", "tx": "-"} | dict.fromkeys(_unused(platform), "-"))
        m.domains.sync = ClockDomain()
        m.submodules.clock = self.clock
        m.submodules.core = self.serial
        m.submodules.rx = rx = io.Buffer("i", pins.rx)
        m.submodules.tx = tx = io.Buffer("o", pins.tx)
        m.d.comb += [self.serial.rx.eq(rx.i), tx.o.eq(self.serial.tx)]
        return m


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
