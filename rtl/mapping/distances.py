"""Squared distances between points and a query."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.layouts import block_layout


class Distances(wiring.Component):
    """Turns the difference of two keys, a point's less the query's, into their squared distance (PointAcc's
    CalcDistance stage). A field of the difference that is negative has borrowed from the field above it, which gets it
    back.

    Points of other batches, and those farther away than the limit, are absent.

        difference   the coordinates of the difference
        square       their squares
        sum          of the squares, against the limit

    Latency: three cycles. Throughput: one block a cycle. Everything stops while a block waits at `o`.

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

    latency = 3

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__({"i": In(block), "limit": In(geometry.key_bits), "o": Out(block)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry, advance = self.geometry, Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), self.i.ready.eq(advance)]
        stage_layout = data.StructLayout({"valid": 1, "block": block_layout(geometry)})
        different, squared = Signal(stage_layout), Signal(stage_layout)
        with m.If(advance):
            m.d.sync += [
                different.valid.eq(self.i.valid),
                different.block.eq(self.i.payload),
                squared.eq(different),
                self.o.valid.eq(squared.valid),
                self.o.payload.eq(squared.block),
            ]
        for lane in range(geometry.width):
            squares = []
            rest: Any = self.i.payload.entries[lane].key
            for axis in range(geometry.dims):
                part = Signal(signed(geometry.coordinate_bits), name=f"part{lane}_{axis}")
                coordinate = Signal.like(part, name=f"coordinate{lane}_{axis}")
                square = Signal(2 * geometry.coordinate_bits - 1, name=f"square{lane}_{axis}")
                m.d.comb += part.eq(rest[: geometry.coordinate_bits])
                rest = (rest >> geometry.coordinate_bits) + part[-1]
                with m.If(advance):
                    m.d.sync += [coordinate.eq(part), square.eq(coordinate * coordinate)]
                squares.append(square)
            with m.If(advance):
                # The batch number's place: zero within one batch.
                m.d.sync += different.block.entries[lane].absent.eq(
                    self.i.payload.entries[lane].absent | (rest[: geometry.batch_bits] != 0)
                )
            total = sum(squares[1:], squares[0] + 0)
            entry, old = self.o.payload.entries[lane], squared.block.entries[lane]
            with m.If(advance):
                m.d.sync += [entry.key.eq(total), entry.absent.eq(old.absent | (total > self.limit))]
        return m
