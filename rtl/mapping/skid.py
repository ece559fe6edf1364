"""A place for what comes when nothing more can be taken."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out


class Skid(wiring.Component):
    """A stream whose `i.ready` is a register, so that it can stop thousands of registers before it. What comes while
    `o` waits has a second place.

    Latency: one cycle. Throughput: one transfer a cycle.

    Parameters
    ----------
    shape
        Shape of the payload.

    Ports
    -----
    i : stream of shape, in
        What comes.
    o : stream of shape, out
        The same.
    ready_next : 1, out
        `i.ready` of the next cycle.
    """

    latency = 1

    def __init__(self, shape: Any) -> None:
        super().__init__({"i": In(stream.Signature(shape)), "o": Out(stream.Signature(shape)), "ready_next": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        spare, empty = Signal.like(self.i.payload), Signal(init=1)
        leave = ~self.o.valid | self.o.ready
        m.d.comb += [self.i.ready.eq(empty), self.ready_next.eq(leave | (empty & ~self.i.valid))]
        m.d.sync += empty.eq(self.ready_next)
        with m.If(leave):
            m.d.sync += self.o.valid.eq(~empty | self.i.valid)
            with m.If(empty):
                m.d.sync += self.o.payload.eq(self.i.payload)
            with m.Else():
                m.d.sync += self.o.payload.eq(spare)
        with m.If(empty):
            m.d.sync += spare.eq(self.i.payload)
        return m
