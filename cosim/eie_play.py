"""cocotb bench of player.v: it gives the clock and waits for the player to finish."""

from __future__ import annotations

from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge


@cocotb.test()
async def play(dut: Any) -> None:
    Clock(dut.clk, 2, unit="ns").start()
    await RisingEdge(dut.finished)
