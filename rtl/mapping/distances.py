"""Squared distances between points and a query."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import block_layout


class Distances(wiring.Component):
    """Turns the difference of two keys, a point's less the query's, into their squared distance (PointAcc's
    CalcDistance stage). A field of the difference that is negative has borrowed from the field above it, which gets it
    back.

    Points of other batches, and those farther away than the limit, are absent.

    Latency: two cycles. Throughput: one block a cycle. Everything stops while a block waits at `o`.

    Parameters
    ----------
    geometry : MapperGeometry

    Ports
    -----
    i : stream of block_layout, in
        Blocks of differences.
    limit : key_bits, in
        The largest squared distance.
    o : stream of block_layout, out
        The same blocks with squared distances as keys.
    """

    latency = 2

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__({"i": In(block), "limit": In(geometry.key_bits), "o": Out(block)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry, advance, valid = self.geometry, Signal(), Signal()
        before = Signal(block_layout(geometry))
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), self.i.ready.eq(advance)]
        with m.If(advance):
            m.d.sync += [
                valid.eq(self.i.valid),
                before.eq(self.i.payload),
                self.o.valid.eq(valid),
                self.o.payload.eq(before),
            ]
        for lane in range(geometry.width):
            squares = [Signal(2 * geometry.coordinate_bits - 1, name=f"square{lane}_{d}") for d in range(geometry.dims)]
            elsewhere = Signal(name=f"elsewhere{lane}")
            rest: Any = self.i.payload.entries[lane].key
            for square in squares:
                part = Signal(signed(geometry.coordinate_bits))
                m.d.comb += part.eq(rest[: geometry.coordinate_bits])
                rest = (rest >> geometry.coordinate_bits) + part[-1]
                with m.If(advance):
                    m.d.sync += square.eq(part * part)
            with m.If(advance):
                m.d.sync += elsewhere.eq(rest[: geometry.batch_bits] != 0)
            total = sum(squares[1:], squares[0] + 0)
            entry, old = self.o.payload.entries[lane], before.entries[lane]
            with m.If(advance):
                m.d.sync += [entry.key.eq(total), entry.absent.eq(old.absent | elsewhere | (total > self.limit))]
        return m
