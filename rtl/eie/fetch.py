"""Fetches activations from the processing elements and rounds them."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import broadcast_layout, found_layout
from zeroskip.rtl.eie.requantise import Requantise
from zeroskip.rtl.ports import read_port


class ActivationFetch(wiring.Component):
    """Turns the number of a column into its activation and the address of its pointer, in three stages; each stage
    moves on as soon as the next is free:

        fetch       read the accumulator from its PE's source file
        raw         hold the accumulator
        ready       hold the activation, rounded as its layer specifies

    The bias column has no accumulator: its activation is `bias_one`.

    Latency: three cycles. Throughput: one activation a cycle.

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
        The source files of all PEs; `addr` is the number of an activation.
    shift : bits_for(max_shift + 1), in
        Bits dropped when an accumulator is rounded.
    relu : 1, in
        Negative activations become zero.
    bias_one : signed(VALUE_BITS), in
        The activation of the bias column.
    pointer_base : bits_for(pointers), in
        Address of the pointer of column 0.
    busy : 1, out
        High while an activation is in the stages.
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
        fetch_valid = Signal()
        raw_valid = Signal()
        ready_valid = Signal()
        fetch_moves = Signal()
        raw_moves = Signal()
        m.d.comb += [
            raw_moves.eq(raw_valid & (~ready_valid | self.o.ready)),
            fetch_moves.eq(fetch_valid & (~raw_valid | raw_moves)),
            self.busy.eq(fetch_valid | raw_valid | ready_valid),
        ]

        # fetch
        column = Signal(found_layout(geometry), name="fetch")
        enters = self.i.valid & self.i.ready
        m.d.comb += [
            self.i.ready.eq(~fetch_valid | fetch_moves),
            self.source.en.eq(enters & ~self.i.payload.bias),
            self.source.addr.eq(self.i.payload.index),
        ]
        with m.If(enters):
            m.d.sync += [fetch_valid.eq(1), column.eq(self.i.payload)]
        with m.Elif(fetch_moves):
            m.d.sync += fetch_valid.eq(0)

        # raw
        raw = Signal(found_layout(geometry))
        accumulator = Signal(signed(geometry.accumulator_bits))
        with m.If(fetch_moves):
            m.d.sync += [raw_valid.eq(1), raw.eq(column), accumulator.eq(self.source.data)]
        with m.Elif(raw_moves):
            m.d.sync += raw_valid.eq(0)

        # ready
        m.submodules.requantise = requantise = Requantise(geometry)
        value = Signal(signed(VALUE_BITS))
        pointer = Signal(bits_for(geometry.pointers))
        m.d.comb += [
            requantise.i.eq(accumulator),
            requantise.shift.eq(self.shift),
            requantise.relu.eq(self.relu),
        ]
        with m.If(raw_moves):
            m.d.sync += [
                ready_valid.eq(1),
                value.eq(Mux(raw.bias, self.bias_one, requantise.o)),
                pointer.eq(self.pointer_base + raw.index),
            ]
        with m.Elif(self.o.ready):
            m.d.sync += ready_valid.eq(0)
        m.d.comb += [
            self.o.valid.eq(ready_valid),
            self.o.payload.value.eq(value),
            self.o.payload.pointer.eq(pointer),
        ]
        return m
