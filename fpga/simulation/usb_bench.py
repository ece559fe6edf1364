"""cocotb bench of a board's top behind USB (UsbBus): drives the two lines, and listens.

A program is JSON: `drive`, the states of the line, a character a bit (zeroskip.cosim.usb.packets), and `listen`, in how
many bits after the last packet's end an answer must begin. The record is JSON: `line`, the states of the answer, or
nothing; `waited`, the bits between the two; `time`, the bits since the beginning.

+usb, +core and +bit are the lengths of a cycle of either clock and of a bit of the host, in units of the simulator.
"""

from __future__ import annotations

import itertools
import json
import socket
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, Edge, FallingEdge, First, RisingEdge, Timer
from cocotb.utils import get_sim_time

from zeroskip.cosim.end_together import end_together

end_together()

STATES = {"J": (1, 0), "K": (0, 1), "0": (0, 0)}


@cocotb.test()
async def lines(dut: Any) -> None:
    host = socket.socket(fileno=int(cocotb.plusargs["host"]))
    usb, core, bit = (int(cocotb.plusargs[name]) for name in ("usb", "core", "bit"))
    if not host.recv(1):
        return
    dut.host_drive.value = 0
    # Reset before the first edge: registers start at random.
    dut.usb_rst.value = dut.rst.value = 1
    Clock(dut.usb_clk, usb, unit="ns").start()
    Clock(dut.clk, core, unit="ns").start()
    await ClockCycles(dut.usb_clk, 8)
    await ClockCycles(dut.clk, 4)
    dut.usb_rst.value = dut.rst.value = 0
    while True:
        program = json.loads(Path(cocotb.plusargs["program"]).read_bytes())
        record = await play(dut, program["drive"], program["listen"], bit)
        Path(cocotb.plusargs["record"]).write_text(json.dumps(record))
        host.send(b".")
        # This blocks the simulator: no cycle passes in the meantime.
        if not host.recv(1):
            return


async def play(dut: Any, line: str, listen: int, bit: int) -> dict[str, Any]:
    dut.host_drive.value = 1
    for state, run in itertools.groupby(line):
        dut.host_d_p.value, dut.host_d_n.value = STATES[state]
        await Timer(bit * len(list(run)), "ns")
    dut.host_drive.value = 0
    # The packet's end was the last change, from both lines low to J: one bit ago.
    end = get_sim_time("ns") - bit
    heard, waited = "", 0.0
    if listen:
        begun = RisingEdge(dut.drive)
        if await First(begun, Timer((listen - 1) * bit, "ns")) is begun:
            waited = (get_sim_time("ns") - end) / bit
            heard = await _heard(dut, bit)
    assert not dut.clash.value, "host and device drive the lines at once"
    return {"line": heard, "waited": waited, "time": get_sim_time("ns") / bit}


async def _heard(dut: Any, bit: int) -> str:
    """The states until the device drives no more: each for as many bits as it lasts, to the nearest."""
    names = {levels: state for state, levels in STATES.items()}
    found = ""
    ended = FallingEdge(dut.drive)
    while True:
        state, since = names[int(dut.d_p.value), int(dut.d_n.value)], get_sim_time("ns")
        event = await First(Edge(dut.d_p), Edge(dut.d_n), ended)
        found += state * round((get_sim_time("ns") - since) / bit)
        if event is ended:
            return found
