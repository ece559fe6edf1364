"""Activation queue of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.layouts import column_layout


class ActivationQueue(wiring.Component):
    """Evens out the work of the PEs (EIE section IV, activation queue): columns in, columns out, in order.

    The paper queues every broadcast activation in front of the pointer read. This queue stands behind it and holds
    columns that have an entry in this PE alone, so that the others cost neither a place nor a cycle.

    Latency: a column is seen at `o` in the cycle after it was taken at `i`. Throughput: one column a cycle, or
    one in two where the queue holds no more than one.
    `level` is the number of columns held.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(column_layout(geometry))),
                "o": Out(stream.Signature(column_layout(geometry))),
                "level": Out(range(geometry.queue_depth + 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        depth = self.geometry.queue_depth
        m.submodules.storage = storage = memory.Memory(shape=column_layout(self.geometry), depth=depth, init=[])
        write, read = storage.write_port(), storage.read_port(domain="comb")
        head, tail = Signal(bits_for(depth)), Signal(bits_for(depth))

        def following(pointer: Signal) -> Any:
            return Mux(pointer == depth - 1, 0, pointer + 1)

        push, pop = Signal(), Signal()
        m.d.comb += [
            self.i.ready.eq(self.level != depth),
            self.o.valid.eq(self.level != 0),
            push.eq(self.i.valid & self.i.ready),
            pop.eq(self.o.valid & self.o.ready),
            write.en.eq(push),
            write.addr.eq(tail),
            write.data.eq(self.i.payload),
            read.addr.eq(head),
            self.o.payload.eq(read.data),
        ]
        m.d.sync += self.level.eq(self.level + push - pop)
        with m.If(push):
            m.d.sync += tail.eq(following(tail))
        with m.If(pop):
            m.d.sync += head.eq(following(head))
        return m
