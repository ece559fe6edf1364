"""The core's clock and reset on a board."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import ClockDomain, ClockSignal, Elaboratable, Instance, Module, Signal
from amaranth.lib import io
from amaranth.lib.cdc import ResetSynchronizer

from zeroskip.fpga.boards.board import Board

POWER_UP_CYCLES = 1024
"""Cycles of the board's clock that reset lasts: block RAMs of the iCE40 read as zero in the first 15 microseconds."""


class BoardClock(Elaboratable):
    """Drives the domain `sync`, which is the parent's, by the board's clock, by a PLL where `mhz` is another frequency.

        pin -> (PLL) -> sync        reset: until the PLL has locked and POWER_UP_CYCLES are over

    Raises ClockError where no PLL makes `mhz`.
    """

    def __init__(self, board: Board, mhz: float) -> None:
        self.board = board
        self.pll = board.pll(mhz)

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        pin = platform.request(platform.default_clk, dir="-")
        m.domains.board = board = ClockDomain(reset_less=True, local=True)
        locked = Signal()
        if self.pll is None:
            m.submodules.buffer = buffer = io.Buffer("i", pin)
            m.d.comb += [board.clk.eq(buffer.i), ClockSignal("sync").eq(buffer.i), locked.eq(1)]
        elif self.board.family == "ecp5":
            m.submodules.buffer = buffer = io.Buffer("i", pin)
            m.d.comb += board.clk.eq(buffer.i)
            loop = Signal()
            m.submodules.pll = Instance(
                "EHXPLLL",
                **{f"p_{name}": value for name, value in self.pll.parameters.items()},
                # What the tools need to know of the cell's analogue parts.
                a_ICP_CURRENT="12",
                a_LPF_RESISTOR="8",
                a_MFG_ENABLE_FILTEROPAMP="1",
                a_MFG_GMCREF_SEL="2",
                i_CLKI=buffer.i,
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
                o_CLKOS=ClockSignal("sync"),
                o_LOCK=locked,
            )
        else:
            # The board's clock comes in at the pad of the PLL, which gives it on as output A.
            m.submodules.pll = Instance(
                "SB_PLL40_2_PAD",
                **{f"p_{name}": value for name, value in self.pll.parameters.items()},
                p_PLLOUT_SELECT_PORTB="GENCLK",
                i_PACKAGEPIN=pin.io,
                i_RESETB=1,
                i_BYPASS=0,
                o_PLLOUTGLOBALA=board.clk,
                o_PLLOUTGLOBALB=ClockSignal("sync"),
                o_LOCK=locked,
            )
        waited = Signal(range(POWER_UP_CYCLES + 1))
        with m.If(waited != POWER_UP_CYCLES):
            m.d.board += waited.eq(waited + 1)
        m.submodules.reset = ResetSynchronizer((waited != POWER_UP_CYCLES) | ~locked, domain="sync")
        return m
