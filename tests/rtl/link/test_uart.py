# amaranth: UnusedElaboratable=no
# (components that cannot be made are not simulated)
"""The serial line, bit by bit."""

from __future__ import annotations

import re
from typing import Any

import numpy as np
import pytest
from support.bench import Bench

from zeroskip.rtl.link.uart import UartReceiver, UartSender

BYTES = bytes([0x00, 0xFF, 0x55, 0xAA, 0x01, 0x80, 0x7E, 0xC3])


def levels(data: bytes, cycles: float, *, stop: int = 1) -> list[int]:
    """The line in each cycle while `data` is sent with bits of `cycles` cycles, and high before and after it."""
    bits = [1] * 3
    for byte in data:
        bits += [0, *(byte >> bit & 1 for bit in range(8)), stop]
    bits += [1] * 3
    return [bits[int(cycle / cycles)] for cycle in range(int(len(bits) * cycles))]


def received(line: list[int], *, cycles: float, takes: bool = True) -> tuple[bytes, int]:
    """The bytes that come from the line, and the errors that are reported."""
    dut = UartReceiver(clock=cycles * 1e6, baud=1e6)
    bench = Bench(dut)

    async def drive(ctx: Any) -> None:
        ctx.set(dut.o.ready, takes)
        for level in line:
            ctx.set(dut.rx, level)
            await ctx.tick()

    bench.add(drive)
    taken = bench.watch(dut.o.valid & dut.o.ready, dut.o.payload)
    broken = bench.watch(dut.broken, dut.broken)
    bench.run(settle=50, limit=200_000)
    return bytes(taken.values), len(broken.values)


@pytest.mark.parametrize("cycles", [4, 7.5, 8, 26.67, 100])
def test_receives_bytes(cycles: float) -> None:
    assert received(levels(BYTES, cycles), cycles=cycles) == (BYTES, 0)


@pytest.mark.parametrize("error", [-0.03, 0.03])
def test_receives_from_a_clock_that_is_off(error: float) -> None:
    assert received(levels(BYTES, 16 * (1 + error)), cycles=16) == (BYTES, 0)


def test_spikes_of_a_cycle_do_nothing() -> None:
    """Wherever they are: in the middle of a bit, or while nobody sends."""
    line = levels(BYTES, 16)
    for start in range(0, len(line), 48):
        # Not beside an edge, which they would move.
        if len(set(line[max(start - 2, 0) : start + 3])) == 1:
            line[start] ^= 1
    assert received(line, cycles=16) == (BYTES, 0)


def test_a_wrong_stop_bit_is_reported_and_the_byte_dropped() -> None:
    line = levels(b"a", 8) + levels(b"b", 8, stop=0) + levels(b"c", 8)
    assert received(line, cycles=8) == (b"ac", 1)


def test_a_break_is_one_error() -> None:
    line = levels(b"a", 8) + [0] * 1000 + levels(b"bc", 8)
    assert received(line, cycles=8) == (b"abc", 1)


def test_a_byte_that_nobody_takes_is_reported() -> None:
    """One waits; the two after it find no room."""
    assert received(levels(b"abc", 8), cycles=8, takes=False) == (b"", 2)


@pytest.mark.parametrize("cycles", [4, 5.3, 26.67])
def test_sends_bytes_without_a_gap(cycles: float) -> None:
    """Every edge is where the bits' exact lengths put it, to a cycle."""
    dut = UartSender(clock=cycles * 1e6, baud=1e6)
    bench = Bench(dut)
    bench.feed(dut.i, BYTES)
    trace = bench.trace(dut.tx)
    bench.run(settle=int(22 * cycles))
    line = np.array([level for (level,) in trace])
    start = int(np.flatnonzero(line == 0)[0])
    expected = [0 if bit == 0 else int(bit == 9 or byte >> (bit - 1) & 1) for byte in BYTES for bit in range(10)]
    middles = start + ((np.arange(len(expected)) + 0.5) * cycles).astype(int)
    assert line[middles].tolist() == expected
    edges = np.flatnonzero(np.diff(line[start:])) + 1
    nearest = np.round(edges / cycles) * cycles
    assert np.abs(edges - nearest).max() <= 1


def test_baud_must_fit_the_clock() -> None:
    message = "baud must be 11,719 to 12,000,000 at a clock of 48,000,000 Hz, not 16,000,000"
    for component in (UartReceiver, UartSender):
        with pytest.raises(ValueError, match=re.escape(message)):
            component(clock=48e6, baud=16e6)
