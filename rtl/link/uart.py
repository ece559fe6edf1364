"""A serial line: a start bit, eight data bits from the lowest on, a stop bit."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.cdc import FFSynchronizer
from amaranth.lib.wiring import In, Out

PHASE_BITS = 20
"""Width of the fraction of a bit that passes in a cycle: rounding it moves the end of a byte by a fiftieth of a bit at
most."""

LEAST_CYCLES, MOST_CYCLES = 4, 4096
"""The cycles of a bit."""


def phase_step(clock: float, baud: float) -> int:
    """What is added to the phase in each cycle, in units of 2 ** -PHASE_BITS bits. ValueError unless a bit takes
    LEAST_CYCLES to MOST_CYCLES cycles."""
    if not clock / MOST_CYCLES <= baud <= clock / LEAST_CYCLES:
        least, most = clock / MOST_CYCLES, clock / LEAST_CYCLES
        raise ValueError(f"baud must be {least:,.0f} to {most:,.0f} at a clock of {clock:,.0f} Hz, not {baud:,.0f}")
    return round(baud / clock * (1 << PHASE_BITS))


class UartReceiver(wiring.Component):
    """Bytes from the line.

    A level counts when two cycles in a row had it, so that spikes of a cycle do nothing. A byte whose stop bit is low
    is dropped and reported, once, however long the line stays low (a break). The line is looked at in the middle of
    each bit.

    Latency: a byte is at `o` about half a bit before the end of its stop bit. The line does not wait: a byte that is
    not taken before the next one comes is lost, and reported.

    Parameters
    ----------
    clock, baud : float
        The component's clock, and bits a second on the line, both in Hz (phase_step). ValueError for others.

    Ports
    -----
    rx : 1, in
        The line, from another clock.
    o : stream of 8, out
        Bytes.
    broken : 1, out
        High for a cycle when a byte was lost.
    """

    def __init__(self, *, clock: float, baud: float) -> None:
        self.step = phase_step(clock, baud)
        super().__init__({"rx": In(1, init=1), "o": Out(stream.Signature(8)), "broken": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        line = Signal(init=1)
        before = Signal(init=1)
        level = Signal(init=1)
        m.submodules.synchroniser = FFSynchronizer(self.rx, line, init=1)
        m.d.sync += before.eq(line)
        with m.If(line == before):
            m.d.sync += level.eq(line)

        phase = Signal(PHASE_BITS)
        sample = Signal()
        left = Signal(range(10))
        bits = Signal(8)
        m.d.sync += [Cat(phase, sample).eq(phase + self.step), self.broken.eq(0)]
        with m.If(self.o.ready):
            m.d.sync += self.o.valid.eq(0)
        with m.FSM():
            with m.State("Idle"):
                # The first sample is in the middle of the start bit.
                m.d.sync += [phase.eq(1 << (PHASE_BITS - 1)), sample.eq(0), left.eq(9)]
                with m.If(~level):
                    m.next = "Start"
            with m.State("Start"):
                with m.If(sample):
                    m.next = "Bits"
                    with m.If(level):
                        # A spike.
                        m.next = "Idle"
            with m.State("Bits"):
                with m.If(sample):
                    m.d.sync += [bits.eq(Cat(bits[1:], level)), left.eq(left - 1)]
                    with m.If(left == 1):
                        # `level` is the stop bit, and `bits` the byte.
                        m.next = "Idle"
                        with m.If(level):
                            m.d.sync += [
                                self.o.payload.eq(bits),
                                self.o.valid.eq(1),
                                self.broken.eq(self.o.valid & ~self.o.ready),
                            ]
                        with m.Else():
                            m.d.sync += self.broken.eq(1)
                            m.next = "Break"
            with m.State("Break"):
                with m.If(level):
                    m.next = "Idle"
        return m


class UartSender(wiring.Component):
    """Bytes to the line.

    Throughput: one byte in the time of ten bits, without a gap.

    Parameters
    ----------
    clock, baud : float
        As those of UartReceiver.

    Ports
    -----
    i : stream of 8, in
        Bytes.
    tx : 1, out
        The line.
    """

    def __init__(self, *, clock: float, baud: float) -> None:
        self.step = phase_step(clock, baud)
        super().__init__({"i": In(stream.Signature(8)), "tx": Out(1, init=1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        phase = Signal(PHASE_BITS)
        next_bit = Signal()
        bits = Signal(9, init=0x1FF)
        left = Signal(range(11))
        m.d.comb += self.i.ready.eq((left == 0) | ((left == 1) & next_bit))
        m.d.sync += Cat(phase, next_bit).eq(phase + self.step)
        with m.If(next_bit & (left != 0)):
            m.d.sync += [self.tx.eq(bits[0]), bits.eq(Cat(bits[1:], 1)), left.eq(left - 1)]
        with m.If(self.i.valid & self.i.ready):
            # The start bit, the byte, and the stop bit that follows when the others are out.
            m.d.sync += [self.tx.eq(0), bits.eq(Cat(self.i.payload, 1)), left.eq(10)]
            with m.If(left == 0):
                m.d.sync += [phase.eq(self.step), next_bit.eq(0)]
        return m
