"""The core's clock on a board, and how the core starts."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import (
    ClockDomain,
    ClockSignal,
    Const,
    DomainRenamer,
    Elaboratable,
    Instance,
    Module,
    ResetSignal,
    Signal,
    Value,
)
from amaranth.lib import io, wiring
from amaranth.lib.cdc import FFSynchronizer, ResetSynchronizer
from amaranth.lib.wiring import In, Out

from zeroskip.fpga.boards.board import Board
from zeroskip.fpga.pll.settings import PllSettings

POWER_UP_CYCLES = 1024
"""Cycles of the board's clock before the core starts: block RAMs of the iCE40 read as zero in the first 15
microseconds."""

USB_MHZ = 48.0
"""That of zeroskip.rtl.link.usb, which is not imported here: it needs a package that not all have."""


class ClockGate(wiring.Component):
    """When a clock runs: from when its PLL has locked and all has waited, until it loses its lock; then never again.

    Ports
    -----
    locked : 1, in
        The clock is stable.
    waited : 1, in
        What needs time after power-up has had it.
    runs : 1, out
        The clock runs; a cycle late.
    """

    def __init__(self) -> None:
        super().__init__({"locked": In(1), "waited": In(1), "runs": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        lost = Signal()
        with m.If(self.runs & ~self.locked):
            m.d.sync += lost.eq(1)
        m.d.sync += self.runs.eq(self.locked & self.waited & ~lost)
        return m


class BoardClock(Elaboratable):
    """Drives the domain `sync`, which is the parent's, by the board's clock, by a PLL where `mhz` is another frequency.
    Where the board's carrier is USB, it drives the domain `usb` by USB_MHZ alike.

        pin -+-> (PLL) -> sync        the core starts when the PLL has locked and POWER_UP_CYCLES are over
             +-> (PLL) -> usb

    On an ECP5 the clock itself starts then (ClockGate): flip-flops have their initial values since the configuration,
    and a reset that reaches all of a large device within a cycle would limit the clock. Where the PLL loses its lock
    later, the clock stops, and the host gets no answers. On an iCE40, which has nets for resets, and on a Gowin, the
    core is in reset until then, and whenever the lock is lost.

    Raises ClockError where no PLL makes `mhz`.
    """

    def __init__(self, board: Board, mhz: float) -> None:
        self.board = board
        self.pll = board.pll(mhz)
        self.usb_pll = board.pll(USB_MHZ) if board.carrier == "usb" else None

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pin = platform.request(platform.default_clk, dir="-")
        m.domains.board = ClockDomain(reset_less=True, local=True)
        waited = Signal(range(POWER_UP_CYCLES + 1))
        with m.If(waited != POWER_UP_CYCLES):
            m.d.board += waited.eq(waited + 1)
        if self.board.family == "ecp5":
            self._ecp5_clocks(m, pin, waited == POWER_UP_CYCLES)
        else:
            locked = self._gowin_clocks(m, pin) if self.board.family == "gowin" else self._ice40_clocks(m, pin)
            m.submodules.reset = ResetSynchronizer((waited != POWER_UP_CYCLES) | ~locked, domain="sync")
        return m

    def _ecp5_clocks(self, m: Module, pin: Any, waited: Value) -> None:
        """Drives the domains `board`, `sync` and, for USB, `usb`."""
        m.submodules.buffer = buffer = io.Buffer("i", pin)
        m.d.comb += ClockSignal("board").eq(buffer.i)
        self._gated(m, "sync", "", self.pll, buffer.i, waited)
        if self.board.carrier == "usb":
            self._gated(m, "usb", "_usb", self.usb_pll, buffer.i, waited)

    def _gated(self, m: Module, domain: str, ending: str, pll: PllSettings | None, clock: Value, waited: Value) -> None:
        """Drives `domain` by what the PLL makes of `clock`, while ClockGate says so. The parts' names have `ending`."""
        made, locked = (clock, Const(1)) if pll is None else _ecp5_pll(m, f"pll{ending}", pll, clock)
        m.submodules[f"gate{ending}"] = gate = DomainRenamer("board")(ClockGate())
        m.submodules[f"locked{ending}"] = FFSynchronizer(locked, gate.locked, o_domain="board")
        m.submodules[f"buffer_{domain}"] = Instance("DCCA", i_CLKI=made, i_CE=gate.runs, o_CLKO=ClockSignal(domain))
        m.d.comb += [gate.waited.eq(waited), ResetSignal(domain).eq(0)]

    def _ice40_clocks(self, m: Module, pin: Any) -> Value:
        """Drives the domains `board` and `sync`. Returns whether the clock is stable."""
        if self.pll is None:
            m.submodules.buffer = buffer = io.Buffer("i", pin)
            m.d.comb += [ClockSignal("board").eq(buffer.i), ClockSignal("sync").eq(buffer.i)]
            return Const(1)
        locked = Signal()
        # The board's clock comes in at the pad of the PLL, which gives it on as output A.
        m.submodules.pll = Instance(
            "SB_PLL40_2_PAD",
            **{f"p_{name}": value for name, value in self.pll.parameters.items()},
            p_PLLOUT_SELECT_PORTB="GENCLK",
            i_PACKAGEPIN=pin.io,
            i_RESETB=1,
            i_BYPASS=0,
            o_PLLOUTGLOBALA=ClockSignal("board"),
            o_PLLOUTGLOBALB=ClockSignal("sync"),
            o_LOCK=locked,
        )
        return locked

    def _gowin_clocks(self, m: Module, pin: Any) -> Value:
        """Drives the domains `board` and `sync`. Returns whether the clock is stable."""
        m.submodules.buffer = buffer = io.Buffer("i", pin)
        m.d.comb += ClockSignal("board").eq(buffer.i)
        if self.pll is None:
            m.d.comb += ClockSignal("sync").eq(buffer.i)
            return Const(1)
        locked = Signal()
        m.submodules.pll = Instance(
            "rPLL",
            **{f"p_{name}": value for name, value in self.pll.parameters.items()},
            i_CLKIN=buffer.i,
            i_CLKFB=0,
            i_RESET=0,
            i_RESET_P=0,
            i_FBDSEL=Const(0, 6),
            i_IDSEL=Const(0, 6),
            i_ODSEL=Const(0, 6),
            i_PSDA=Const(0, 4),
            i_DUTYDA=Const(0, 4),
            i_FDLY=Const(0, 4),
            o_CLKOUT=ClockSignal("sync"),
            o_LOCK=locked,
        )
        return locked


def _ecp5_pll(m: Module, name: str, pll: PllSettings, clock: Value) -> tuple[Value, Value]:
    """Adds the PLL `name` to `m`. Returns the clock that it makes of `clock`, and whether it is stable."""
    loop, made, locked = Signal(), Signal(), Signal()
    m.submodules[name] = Instance(
        "EHXPLLL",
        **{f"p_{name}": value for name, value in pll.parameters.items()},
        # What the tools need to know of the cell's analogue parts.
        a_ICP_CURRENT="12",
        a_LPF_RESISTOR="8",
        a_MFG_ENABLE_FILTEROPAMP="1",
        a_MFG_GMCREF_SEL="2",
        i_CLKI=clock,
        i_CLKFB=loop,
        i_RST=0,
        i_STDBY=0,
        i_PHASESEL0=0,
        i_PHASESEL1=0,
        i_PHASEDIR=0,
        i_PHASESTEP=0,
        i_PHASELOADREG=0,
        i_PLLWAKESYNC=0,
        i_ENCLKOP=0,
        o_CLKOP=loop,
        o_CLKOS=made,
        o_LOCK=locked,
    )
    return made, locked
