# amaranth: UnusedElaboratable=no
"""How a core starts on a board."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from zeroskip.fpga.bitstream.design import design
from zeroskip.fpga.boards.clock import ClockGate
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.fpga.boards.top import BoardTop


def test_a_clock_runs_from_its_lock_until_it_is_lost() -> None:
    """One digit a cycle; `runs` is a cycle late."""
    gate = ClockGate()
    locked, waited = "0010111110111", "0000111111111"
    runs = "0000011111000"
    seen = ""

    async def bench(ctx: Any) -> None:
        nonlocal seen
        for is_locked, has_waited in zip(locked, waited, strict=True):
            ctx.set(gate.locked, int(is_locked))
            ctx.set(gate.waited, int(has_waited))
            seen += str(ctx.get(gate.runs))
            await ctx.tick()

    simulator = Simulator(gate)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == runs


class Counter(wiring.Component):
    def __init__(self) -> None:
        super().__init__({"rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        count = Signal(8)
        m.d.sync += count.eq(count + self.rx)
        m.d.comb += self.tx.eq(count[-1])
        return m


class Lines(wiring.Component):
    """With the ports of UsbTop."""

    def __init__(self) -> None:
        ins, outs = ("d_p", "d_n"), ("drive", "d_p_out", "d_n_out", "pull_up")
        super().__init__({name: In(1) for name in ins} | {name: Out(1) for name in outs})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.usb += self.drive.eq(self.d_p & ~self.d_n)
        m.d.sync += self.pull_up.eq(1)
        return m


def test_usb_has_a_clock_of_48_mhz() -> None:
    """On the OrangeCrab it is the board's, on the ULX3S a PLL makes it of 25 MHz; both lines are driven and heard."""
    for name, plls in (("orangecrab-25f", 1), ("ulx3s-12f", 2)):
        board = BOARDS[name].carried_by("usb")
        found = design(board, BoardTop(board, 80, Lines()))
        assert found.rtlil.count("cell \\EHXPLLL") == plls
        assert found.rtlil.count("cell \\DCCA") == 2
        assert found.rtlil.count("cell \\BB") == 2
        assert all(f'"usb_0__{pin}__io"' in found.constraints for pin in ("d_p", "d_n", "pullup"))
    made = BOARDS["ulx3s-12f"].pll(48)
    assert made is not None
    assert made.mhz == 48
    loop = made.parameters["CLKFB_DIV"] * made.parameters["CLKOP_DIV"] / made.parameters["CLKI_DIV"]
    assert 25 * loop / made.parameters["CLKOS_DIV"] == 48


def test_the_core_has_a_gated_clock_or_a_reset() -> None:
    """The ECP5's clock comes out of its gate, with and without a PLL, and nothing of the core is reset."""
    for name, mhz, gates, resets in (("ulx3s-12f", 25, 1, 0), ("ulx3s-12f", 80, 1, 0), ("icebreaker", 20, 0, 1)):
        board = BOARDS[name]
        text = design(board, BoardTop(board, mhz, Counter())).rtlil
        assert text.count("cell \\DCCA") == gates
        assert text.count("cell \\SB_PLL40_2_PAD") == resets
        core = text[text.index("module \\top.core\n") :].partition("\nend\n")[0]
        assert ("connect \\rst 1'0" in core) == (not resets)
