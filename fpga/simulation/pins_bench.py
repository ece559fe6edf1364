"""cocotb bench of a board's top: cocotbext-uart drives and reads the serial pins.

As play_bench.py, it plays a program whenever the host gives it the turn: that of stream_player.v, with the record of
stream_player.v. +clock and +bit are the lengths of a cycle and of a bit in ns.
"""

from __future__ import annotations

import logging
import socket
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, RisingEdge
from cocotb.utils import get_sim_time
from cocotbext.uart import UartSink, UartSource

from zeroskip.cosim.end_together import end_together

end_together()


@cocotb.test()
async def pins(dut: Any) -> None:
    host = socket.socket(fileno=int(cocotb.plusargs["host"]))
    cycle, bit = int(cocotb.plusargs["clock"]), int(cocotb.plusargs["bit"])
    if not host.recv(1):
        return
    # Reset before the first edge: registers start at random.
    dut.rst.value = 1
    source, sink = UartSource(dut.rx, baud=1e9 / bit), UartSink(dut.tx, baud=1e9 / bit)
    for peer in (source, sink):
        peer.log.setLevel(logging.WARNING)
    Clock(dut.clk, cycle, unit="ns").start()
    await ClockCycles(dut.clk, 4)
    dut.rst.value = 0
    await RisingEdge(dut.clk)
    sink.clear()
    while True:
        program = Path(cocotb.plusargs["program"]).read_bytes()
        Path(cocotb.plusargs["record"]).write_bytes(await play(source, sink, program, cycle))
        host.send(b".")
        # This blocks the simulator: no cycle passes in the meantime.
        if not host.recv(1):
            return


async def play(source: UartSource, sink: UartSink, program: bytes, cycle: int) -> bytes:
    frames, quiet = (int.from_bytes(program[at : at + 4], "big") for at in (0, 4))
    begin = get_sim_time("ns")
    source.write_nowait(program[8:])
    come = bytearray()
    while not source.idle() or come.count(0) < frames:
        if sink.empty():
            await sink.wait(quiet * cycle)
        if sink.empty() and source.idle():
            break
        come += sink.read_nowait()
    cycles = (get_sim_time("ns") - begin) // cycle
    return f"{come.hex()} {cycles:.0f}".encode()
