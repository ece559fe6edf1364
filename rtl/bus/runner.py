"""Runs the EIE array on the images of a stream, or once."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, enum, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.bus.images import word_layout
from zeroskip.rtl.bus.register_map import REGISTER_BITS


def inputs_layout(geometry: EieGeometry) -> data.StructLayout:
    """Inputs `address` and up of a run, one for each lane."""
    return data.StructLayout(
        {"address": bits_for(geometry.activations), "data": geometry.activation_lanes * VALUE_BITS}
    )


class _State(enum.Enum):
    REST = 0
    LOAD = 1
    START = 2
    RUN = 3
    READ = 4


class Runner(wiring.Component):
    """The order of things: load an image, start the array, wait for its end, read its results; then the next image.

    A start by `start` does not load or read anything.

    Latency: between two images, the array waits for two cycles more than one whose ports are driven without pause.
    Throughput: a word of an image or a value of a result a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    start : 1, in
        Starts the array once; in a cycle in which `running` is low.
    hold : 1, in
        No image begins.
    outputs : bits_for(activations + 1), in
        Values of a result.
    images : stream of word_layout, in
        Words of images; an image begins only if all of it is there.
    loading : 1, out
        Words of an image are being taken.
    running : 1, out
        The array is in use.
    computing : 1, out
        High in the cycles of `cycles`: from the one behind that in which the array takes a start, to its end.
    reading : 1, out
        Results are read for `values`.
    ended : 1, out
        High for one cycle when a run has ended.
    cycles : 32, out
        Cycles of the last run.
    inputs : stream of inputs_layout, out
        What to load.
    array_start : 1, out
        Starts the array.
    array_idle : 1, in
        The array takes a start.
    array_done : 1, in
        The array's run has ended.
    read : stream of bits_for(activations), out
        Numbers of results.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        lanes = geometry.activation_lanes
        super().__init__(
            {
                "start": In(1),
                "hold": In(1),
                "outputs": In(bits_for(geometry.activations + 1)),
                "images": In(stream.Signature(word_layout(lanes, VALUE_BITS))),
                "loading": Out(1),
                "running": Out(1),
                "computing": Out(1),
                "reading": Out(1),
                "ended": Out(1),
                "cycles": Out(REGISTER_BITS),
                "inputs": Out(stream.Signature(inputs_layout(geometry))),
                "array_start": Out(1),
                "array_idle": In(1),
                "array_done": In(1),
                "read": Out(stream.Signature(bits_for(geometry.activations))),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        state = Signal(_State)
        streams = Signal()
        address = Signal(bits_for(self.geometry.activations))
        m.d.comb += [
            self.loading.eq(state == _State.LOAD),
            self.computing.eq(state == _State.RUN),
            self.running.eq((state != _State.REST) | self.reading),
            self.inputs.payload.address.eq(address),
            self.inputs.payload.data.eq(self.images.payload.data),
            self.array_start.eq(state == _State.START),
            self.read.payload.eq(address),
        ]
        with m.Switch(state):
            with m.Case(_State.REST):
                m.d.sync += address.eq(0)
                # What was asked for last has come when the array is idle again.
                with m.If(self.array_idle):
                    m.d.sync += self.reading.eq(0)
                with m.If(self.start):
                    m.d.sync += [state.eq(_State.START), streams.eq(0)]
                with m.Elif(self.images.valid & ~self.hold):
                    m.d.sync += [state.eq(_State.LOAD), streams.eq(1)]
            with m.Case(_State.LOAD):
                m.d.comb += [self.inputs.valid.eq(self.images.valid), self.images.ready.eq(self.inputs.ready)]
                with m.If(self.images.valid & self.inputs.ready):
                    m.d.sync += address.eq(address + self.geometry.activation_lanes)
                    with m.If(self.images.payload.last):
                        m.d.sync += state.eq(_State.START)
            with m.Case(_State.START):
                with m.If(self.array_idle):
                    m.d.sync += [state.eq(_State.RUN), self.cycles.eq(1), address.eq(0)]
            with m.Case(_State.RUN):
                m.d.comb += self.ended.eq(self.array_done)
                with m.If(~self.array_done):
                    m.d.sync += self.cycles.eq(self.cycles + 1)
                with m.Else():
                    m.d.sync += [state.eq(_State.REST), self.reading.eq(streams)]
                    with m.If(streams):
                        m.d.sync += state.eq(_State.READ)
            with m.Case(_State.READ):
                m.d.comb += self.read.valid.eq(1)
                with m.If(self.read.ready):
                    m.d.sync += address.eq(address + 1)
                    with m.If(address + 1 == self.outputs):
                        m.d.sync += state.eq(_State.REST)
        return m
