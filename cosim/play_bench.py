"""cocotb bench of the players: it drives the clock, and stops it between two programs until the host has the next one.

The host is the process that started the simulator; +host is the socket to it. A byte from the host
means that a program is ready, a byte to the host that a program has been played. The run ends when the host closes its
side.
"""

from __future__ import annotations

import socket
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import RisingEdge

from zeroskip.cosim.end_together import end_together

end_together()


@cocotb.test()
async def play(dut: Any) -> None:
    host = socket.socket(fileno=int(cocotb.plusargs["host"]))
    if not host.recv(1):
        return
    Clock(dut.clk, 2, unit="ns").start()
    while True:
        await RisingEdge(dut.finished)
        host.send(b".")
        # This blocks the simulator: no cycle passes in the meantime.
        if not host.recv(1):
            return
