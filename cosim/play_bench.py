"""cocotb bench of the players: it gives the clock and waits until they have finished."""

from __future__ import annotations

import ctypes
import signal
import sys
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

# Linux ends the simulator with the process that started it, however that ended.
PR_SET_PDEATHSIG = 1
if sys.platform == "linux":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


@cocotb.test()
async def play(dut: Any) -> None:
    Clock(dut.clk, 2, unit="ns").start()
    await RisingEdge(dut.finished)
