"""Packs the valid values of sparse blocks into full ones."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, Value
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.rtl.mapping.layouts import lanes_layout, packed_layout


class Packer(wiring.Component):
    """Moves the valid values of each block together, by the prefix sum of the empty places before them, and appends
    them to those that wait until a block is full. What is left at the end of a pass leaves as the last block.

    Latency: a block leaves two cycles after the value that fills it was taken; `done` comes three cycles after the
    final block was taken, or when the last values have left, if that is later. Throughput: one block a cycle.
    Everything stops while a block waits at `o`.

    Parameters
    ----------
    shape
        Shape of a value.
    lanes
        Values of a block, a power of two. ValueError otherwise.

    Ports
    -----
    i : stream of lanes_layout, in
        Any of `lanes` values.
    o : stream of packed_layout, out
        The valid ones, in the same order.
    done : 1, out
        High for one cycle when all of a pass have left.
    """

    latency = 3

    def __init__(self, *, shape: Any, lanes: int) -> None:
        if lanes < 1 or lanes & (lanes - 1):
            raise ValueError(f"lanes must be a power of two, not {lanes}")
        self.shape, self.lanes = shape, lanes
        super().__init__(
            {
                "i": In(stream.Signature(lanes_layout(shape, lanes))),
                "o": Out(stream.Signature(packed_layout(shape, lanes))),
                "done": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        advance, flush, ending = Signal(), Signal(), Signal()
        dense = Signal(
            data.StructLayout(
                {
                    "valid": 1,
                    "values": self.i.payload.values.shape(),
                    "count": bits_for(self.lanes + 1),
                    "final": 1,
                }
            )
        )
        m.d.comb += [
            advance.eq(~self.o.valid | self.o.ready),
            # What a final block leaves behind goes before the next block.
            self.i.ready.eq(advance & ~flush),
            self.done.eq(ending & advance),
        ]
        with m.If(advance):
            m.d.sync += ending.eq(flush)
        with m.If(self.i.ready):
            m.d.sync += [
                dense.valid.eq(self.i.valid),
                dense.count.eq(_sum(self._valid)),
                dense.final.eq(self.i.payload.final),
                *(dense.values[lane].eq(value) for lane, value in enumerate(self._together(m))),
            ]
        self._append(m, dense, advance, flush)
        return m

    @property
    def _valid(self) -> list[Value]:
        return [self.i.payload.valid[lane] for lane in range(self.lanes)]

    def _together(self, m: Module) -> list[Value]:
        """The valid values, moved down. A value moves by the number of empty places below it: first by one if that
        number is odd, then by two, then by four; so no two values meet."""
        empty: list[Value] = [Const(0)]
        for valid in self._valid[:-1]:
            empty.append((empty[-1] + ~valid)[: bits_for(self.lanes)])
        places = data.StructLayout({"valid": 1, "move": bits_for(self.lanes), "value": self.shape})
        column = [Signal(places, name=f"place{lane}") for lane in range(self.lanes)]
        for lane, place in enumerate(column):
            m.d.comb += [
                place.valid.eq(self._valid[lane]),
                place.move.eq(empty[lane]),
                place.value.eq(self.i.payload.values[lane]),
            ]
        for bit in range(self.lanes.bit_length() - 1):
            moved = [Signal(places, name=f"place{lane}_{bit}") for lane in range(self.lanes)]
            for lane, place in enumerate(moved):
                m.d.comb += [place.eq(column[lane]), place.valid.eq(column[lane].valid & ~column[lane].move[bit])]
                if lane + (1 << bit) < self.lanes:
                    above = column[lane + (1 << bit)]
                    with m.If(above.valid & above.move[bit]):
                        m.d.comb += place.eq(above)
            column = moved
        return [place.value for place in column]

    def _rotated(self, m: Module, values: Any, by: Signal) -> list[Signal]:
        """The values, the first in place `by`; those behind the last place stand in the first ones."""
        column: list[Any] = [values[lane] for lane in range(self.lanes)]
        for bit in range(len(by)):
            moved = [Signal(self.shape, name=f"rotated{lane}_{bit}") for lane in range(self.lanes)]
            for lane, value in enumerate(moved):
                lower = column[(lane - (1 << bit)) % self.lanes]
                m.d.comb += value.eq(Mux(by[bit], _bits(lower), _bits(column[lane])))
            column = moved
        return column

    def _append(self, m: Module, dense: Any, advance: Signal, flush: Signal) -> None:
        """Puts new values behind those that wait; a full block leaves, the others wait."""
        waiting = Signal(dense.values.shape())
        fill = Signal(bits_for(self.lanes))
        total = Signal(bits_for(2 * self.lanes))
        m.d.comb += total.eq(fill + dense.count)
        rotated = self._rotated(m, dense.values, fill)
        full = total >= self.lanes
        takes = advance & ~flush & dense.valid
        for lane in range(self.lanes):
            # What waits stays until a block is full; then the places take what is left over, or anything.
            with m.If(takes & (full | (lane >= fill))):
                m.d.sync += waiting[lane].eq(rotated[lane])
            # At the end of a pass, there is anything behind the values that waited.
            with m.If(advance):
                m.d.sync += self.o.payload.values[lane].eq(Mux(lane < fill, _bits(waiting[lane]), _bits(rotated[lane])))
        with m.If(advance & flush):
            m.d.sync += [self.o.valid.eq(fill != 0), self.o.payload.count.eq(fill), fill.eq(0), flush.eq(0)]
        with m.Elif(advance):
            m.d.sync += [self.o.valid.eq(dense.valid & full), self.o.payload.count.eq(self.lanes)]
            with m.If(dense.valid):
                m.d.sync += [fill.eq(Mux(full, total - self.lanes, total)), flush.eq(dense.final)]


def _sum(bits: list[Value]) -> Value:
    """How many of them are set, by a tree."""
    if len(bits) == 1:
        return bits[0]
    half = len(bits) // 2
    return _sum(bits[:half]) + _sum(bits[half:])


def _bits(value: Any) -> Value:
    return Value.cast(value)
