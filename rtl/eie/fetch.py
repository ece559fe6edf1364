"""Fetches activations from the processing elements and rounds them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, Value, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import COLUMNS_AHEAD, VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import broadcast_layout, found_layout
from zeroskip.rtl.eie.requantise import Requantise
from zeroskip.rtl.ports import read_port
from zeroskip.rtl.word_store import WordStore


def fetch_latency(geometry: EieGeometry) -> int:
    """Cycles from a column at `i` of ActivationFetch to its activation at `o`: `found`, the read, `raw`, the rounding,
    `ready`."""
    return 1 + geometry.fetch_cycles + 1 + Requantise.latency + 1


class ActivationFetch(wiring.Component):
    """Turns the number of a column into its activation and the address of its pointer.

        found       ask for the accumulator in its PE's source file; compute the pointer
        raw         the accumulator, `geometry.fetch_cycles` cycles later
        ...         it is rounded as its layer specifies (see Requantise)
        ready       activations and pointers wait until they are taken

    Nothing stops a column on its way: one is taken only while fewer than COLUMNS_AHEAD are on the way or ready, and as
    many have a place behind the last stage. The bias column has no accumulator: its activation is `bias_one`.

    Latency: `fetch_latency(geometry)`. Throughput: one activation a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    i : stream of found_layout, in
        Columns.
    o : stream of broadcast_layout, out
        Their activations and pointers.
    source : read_port(activations, signed(accumulator_bits)), out
        The source files of all PEs; `addr` is the number of an activation, `data` follows `en` by
        `geometry.fetch_cycles` cycles, one accumulator a cycle.
    shift : bits_for(max_shift + 1), in
        Bits dropped when an accumulator is rounded.
    relu : 1, in
        Negative activations become zero.
    bias_one : signed(VALUE_BITS), in
        The activation of the bias column.
    pointer_base : bits_for(pointers), in
        Address of the pointer of column 0.
    busy : 1, out
        High while an activation is on the way or ready.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "i": In(stream.Signature(found_layout(geometry))),
                "o": Out(stream.Signature(broadcast_layout(geometry))),
                "source": Out(read_port(geometry.activations, signed(geometry.accumulator_bits))),
                "shift": In(bits_for(geometry.max_shift + 1)),
                "relu": In(1),
                "bias_one": In(VALUE_BITS),
                "pointer_base": In(bits_for(geometry.pointers)),
                "busy": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        enters = self.i.valid & self.i.ready
        leaves = self.o.valid & self.o.ready

        # `ahead` columns are on the way or ready, `waiting` of them ready.
        ahead = Signal(range(COLUMNS_AHEAD + 1))
        waiting = Signal(range(COLUMNS_AHEAD + 1))
        # Whether there is room is known a cycle before: the scanner decides by it whether it moves.
        ready = Signal(init=1)
        # A bit for each stage from `found` to the end of the rounding: it holds a column.
        stages = Signal(fetch_latency(geometry) - 1)
        arrives = stages[-1]
        m.d.comb += [
            self.i.ready.eq(ready),
            self.busy.eq(ahead != 0),
            self.o.valid.eq(waiting != 0),
        ]
        m.d.sync += [
            stages.eq((stages << 1) | enters),
            ahead.eq(ahead + enters - leaves),
            ready.eq(leaves | ((ahead != COLUMNS_AHEAD) & ~(enters & (ahead == COLUMNS_AHEAD - 1)))),
            waiting.eq(waiting + arrives - leaves),
        ]

        # found
        column = Signal(found_layout(geometry), name="found", reset_less=True)
        m.d.sync += [
            column.eq(self.i.payload),
            self.source.en.eq(enters & ~self.i.payload.bias),
        ]
        m.d.comb += self.source.addr.eq(column.index)

        # raw, and its rounding
        m.submodules.requantise = requantise = Requantise(geometry)
        m.d.sync += requantise.i.eq(self.source.data)
        m.d.comb += [requantise.shift.eq(self.shift), requantise.relu.eq(self.relu)]

        # ready: pointers and activations of the same columns, each in its order.
        first = Signal(range(COLUMNS_AHEAD))
        following = Signal.like(first)
        m.d.comb += following.eq(first + leaves)
        m.d.sync += first.eq(following)

        def kept(name: str, write: Value, word: Value) -> Value:
            """The word of the first column that waits; `word` is that of the next column wherever `write`."""
            m.submodules[name] = words = WordStore(depth=COLUMNS_AHEAD, width=len(word))
            end = Signal(range(COLUMNS_AHEAD), name=f"{name}_end")
            m.d.comb += [
                words.write.en.eq(write),
                words.write.addr.eq(end),
                words.write.data.eq(word),
                words.following.eq(following),
            ]
            with m.If(write):
                m.d.sync += end.eq(end + 1)
            return words.o

        place = Signal(data.StructLayout({"pointer": bits_for(geometry.pointers), "bias": 1}))
        m.d.comb += [place.pointer.eq(self.pointer_base + column.index), place.bias.eq(column.bias)]
        placed = data.View(place.shape(), kept("pointers", stages[0], place.as_value()))
        value = kept("values", arrives, requantise.o).as_signed()
        m.d.comb += [
            self.o.payload.pointer.eq(placed.pointer),
            self.o.payload.value.eq(Mux(placed.bias, self.bias_one.as_signed(), value)),
        ]
        return m
