"""What the builds know of a board."""

from __future__ import annotations

import dataclasses
import importlib
from dataclasses import dataclass
from typing import Any

from zeroskip.fpga.pll.ecp5 import solve as solve_ecp5
from zeroskip.fpga.pll.gowin import solve as solve_gowin
from zeroskip.fpga.pll.ice40 import solve as solve_ice40
from zeroskip.fpga.pll.settings import ClockError, PllSettings


@dataclass(frozen=True, kw_only=True)
class Device:
    """What an FPGA has: 4-input look-up tables, flip-flops, block RAMs and multipliers."""

    family: str
    """`ecp5`, `ice40` or `gowin`."""
    luts: int
    block_rams: int
    multipliers: int
    single_port_rams: int = 0
    """The iCE40's large memories, 16,384 words of 16 bits each, without contents at power-up."""
    untimed: tuple[str, ...] = ()
    """Paths whose delays place and route does not count: where there are any, frequencies are an estimate."""


LFE5U_25 = Device(family="ecp5", luts=24_288, block_rams=56, multipliers=28)
LFE5U_45 = Device(family="ecp5", luts=43_848, block_rams=108, multipliers=72)
LFE5U_85 = Device(family="ecp5", luts=83_640, block_rams=208, multipliers=156)
ICE40UP5K = Device(family="ice40", luts=5_280, block_rams=30, multipliers=8, single_port_rams=4)
UNTIMED_GOWIN = (
    "from block RAMs",
    "into and out of multipliers",
    "through look-up tables that place and route adds before flip-flops",
)
"""As seen in the detailed reports of nextpnr-himbaechel 0.11.1 for small designs of each kind."""

GW2AR_18 = Device(family="gowin", luts=20_736, block_rams=46, multipliers=48, untimed=UNTIMED_GOWIN)


@dataclass(frozen=True, kw_only=True)
class Board:
    """A board: `platform` is its class in amaranth-boards, or in this package, which knows pins and clock, `input_mhz`
    that clock.

    `clock_mhz` is the core's clock, where the user asks for no other and the core knows no better, and `baud` the bits
    a second of its serial line. `uart` are the pins of a connector (rx, tx) where the board has no serial port of its
    own. `carrier` carries the link ("uart" or "usb"), and `carriers` are those that the board has: USB where the FPGA
    itself is at a USB plug. `loader` are the arguments of openFPGALoader that name the board.
    """

    name: str
    title: str
    device: Device
    platform: str
    input_mhz: float
    clock_mhz: float
    baud: int
    loader: tuple[str, ...]
    uart: tuple[str, str] | None = None
    carrier: str = "uart"
    carriers: tuple[str, ...] = ("uart",)
    always_keeps: bool = False
    """Whether it only takes bitstreams into its flash."""

    @property
    def family(self) -> str:
        return self.device.family

    def make_platform(self, bases: tuple[type, ...] = ()) -> Any:
        """A new platform object, good for one design; `bases` come before the board's class."""
        module, _, name = self.platform.partition(":")
        found = getattr(importlib.import_module(module if "." in module else f"amaranth_boards.{module}"), name)
        return type(name, (*bases, found), {})()

    def carried_by(self, carrier: str | None) -> Board:
        """The board with another carrier of the link, or with its own where it is None. Raises ValueError where the
        board does not have it."""
        if carrier is None:
            return self
        if carrier not in self.carriers:
            raise ValueError(f"carrier must be {' or '.join(self.carriers)} on {self.title}, not {carrier!r}")
        return dataclasses.replace(self, carrier=carrier)

    def pll(self, mhz: float) -> PllSettings | None:
        """The PLL that makes `mhz` of the board's clock, or None where that is the board's clock.

        Raises ClockError where there is no such PLL.
        """
        if mhz == self.input_mhz:
            return None
        solve = {"ecp5": solve_ecp5, "ice40": solve_ice40, "gowin": solve_gowin}[self.family]
        return solve(self.input_mhz, mhz)

    def made_mhz(self, mhz: float) -> float:
        """The clock nearest to `mhz` that the PLL makes, or the board's own. Raises ClockError where there is none."""
        pll = self.pll(mhz)
        return mhz if pll is None else pll.mhz

    def makes(self, mhz: float) -> bool:
        """Whether the board can make that clock."""
        try:
            self.pll(mhz)
        except ClockError:
            return False
        return True
