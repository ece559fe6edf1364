"""Activation queue of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module
from amaranth.lib import stream, wiring
from amaranth.lib.fifo import SyncFIFO
from amaranth.lib.wiring import In, Out

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.layouts import column_layout


class ActivationQueue(wiring.Component):
    """Balances the load of the PEs (EIE section IV, activation queue): columns in, columns out, in order.

    The paper queues every broadcast activation in front of the pointer read unit. This queue follows it and holds
    only columns that have entries in this PE: other columns need no place and no cycle. The broadcast stops when the
    queue holds `queue_full` columns; `queue_places` columns fit.

    It is the SyncFIFO of amaranth.lib.fifo, whose output is read in the same cycle. SyncFIFOBuffered would show a
    column one cycle later and change the array's cycles.

    Latency: a column is at `o` in the cycle after it was taken at `i`. Throughput: one column a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of column_layout, in
        Columns from the pointer read unit.
    o : stream of column_layout, out
        The same columns in the same order.
    level : range(queue_places + 1), out
        Columns that the queue holds.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(column_layout(geometry))),
                "o": Out(stream.Signature(column_layout(geometry))),
                "level": Out(range(geometry.queue_places + 1)),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        width = column_layout(self.geometry).size
        m.submodules.fifo = fifo = SyncFIFO(width=width, depth=self.geometry.queue_places)
        wiring.connect(m, wiring.flipped(self.i), fifo.w_stream)
        wiring.connect(m, fifo.r_stream, wiring.flipped(self.o))
        m.d.comb += self.level.eq(fifo.level)
        return m
