"""Squared distances between points and a query."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.bitonic import less
from zeroskip.rtl.mapping.layouts import block_layout


class Distances(wiring.Component):
    """Turns the difference of two keys, a point's less the query's, into their squared distance (PointAcc's
    CalcDistance stage). A coordinate of the difference that is negative has borrowed from the field above it. Half of
    the range added to every field gives all of that back: each field then holds its coordinate plus that half.

    Points of other batches, and those farther away than the limit, are absent.

        difference   the coordinates of the difference
        square       their squares
        sum          of the squares
        limit        against the limit

    Latency: four cycles. Throughput: one block a cycle. Everything stops while a block waits at `o`.

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

    latency = 4

    def __init__(self, geometry: MapperGeometry) -> None:
        self.geometry = geometry
        block = stream.Signature(block_layout(geometry))
        super().__init__({"i": In(block), "limit": In(geometry.key_bits), "o": Out(block)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry, advance = self.geometry, Signal()
        m.d.comb += [advance.eq(~self.o.valid | self.o.ready), self.i.ready.eq(advance)]
        stage_layout = data.StructLayout({"valid": 1, "block": block_layout(geometry)})
        different, squared, added = (Signal(stage_layout, name=name) for name in ("different", "squared", "added"))
        with m.If(advance):
            m.d.sync += [
                different.valid.eq(self.i.valid),
                different.block.eq(self.i.payload),
                squared.eq(different),
                added.eq(squared),
                self.o.valid.eq(added.valid),
                self.o.payload.eq(added.block),
            ]
        size = geometry.coordinate_bits
        halves = sum(1 << (size * axis + size - 1) for axis in range(geometry.dims))
        for lane in range(geometry.width):
            fields = Signal(geometry.key_bits, name=f"fields{lane}")
            squares = []
            m.d.comb += fields.eq(self.i.payload.entries[lane].key + halves)
            for axis in range(geometry.dims):
                coordinate = Signal(signed(size), name=f"coordinate{lane}_{axis}")
                square = Signal(2 * size - 1, name=f"square{lane}_{axis}")
                field = fields[size * axis : size * (axis + 1)]
                with m.If(advance):
                    # Less half of the range: the other highest bit.
                    m.d.sync += [coordinate.eq(Cat(field[:-1], ~field[-1])), square.eq(coordinate * coordinate)]
                squares.append(square)
            total = Signal(geometry.distance_bits, name=f"total{lane}")
            entry, old = self.o.payload.entries[lane], added.block.entries[lane]
            with m.If(advance):
                m.d.sync += [
                    # The batch number's place: zero within one batch.
                    different.block.entries[lane].absent.eq(
                        self.i.payload.entries[lane].absent | (fields[size * geometry.dims :] != 0)
                    ),
                    total.eq(_sum(squares)),
                    entry.key.eq(total),
                    entry.absent.eq(old.absent | less(self.limit, total)),
                ]
        return m


def _sum(terms: list[Any]) -> Any:
    """Their sum, by a tree."""
    if len(terms) == 1:
        return terms[0]
    half = len(terms) // 2
    return _sum(terms[:half]) + _sum(terms[half:])
