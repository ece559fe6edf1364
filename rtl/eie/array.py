# amaranth: UnusedElaboratable=no
# (a shared PE is emitted once, and the design holds instances of it: zeroskip.rtl.hierarchy)
"""The EIE array: processing elements under one control unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Array as Choice
from amaranth.hdl import Cat, Module, Mux, Signal, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.control import ControlUnit
from zeroskip.rtl.eie.layouts import LoadTarget, load_layout, monitor_layout
from zeroskip.rtl.eie.pe import ProcessingElement
from zeroskip.rtl.hierarchy import emit_once


class Array(wiring.Component):
    """An EIE array (Han et al., ISCA 2016) that runs a whole network by itself.

    While `idle` (I/O mode), `load` writes the memories and `read` requests activations. All inputs of a network must be
    loaded before a start, including zeros. A run executes the layers of the table from `first` to one that is marked
    last.

    zeroskip.model.eie.golden computes the results, bit for bit, and zeroskip.model.eie.cycles the cycles from `start`
    to `done`.

    Latency: `result` follows `read` by three cycles. Throughput: one transfer of `load`, `read` and `result` a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    load : stream of load_layout, in
        Words for the memories (see LoadTarget).
    start : 1, in
        Starts a run; taken in a cycle in which `idle` is high.
    first : bits_for(layers), in
        The first layer of the run.
    idle : 1, out
        High while no run and no read is under way.
    done : 1, out
        High for one cycle when a run has ended and its results can be read.
    read : stream of bits_for(activations), in
        Numbers of activations.
    result : stream of signed(VALUE_BITS), out
        Their values, in order.
    monitor : monitor_layout, out
        The state of the array in each cycle, for an observer.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "load": In(stream.Signature(load_layout(geometry))),
                "start": In(1),
                "first": In(bits_for(geometry.layers)),
                "idle": Out(1),
                "done": Out(1),
                "read": In(stream.Signature(bits_for(geometry.activations))),
                "result": Out(stream.Signature(signed(VALUE_BITS))),
                "monitor": Out(monitor_layout(geometry)),
            }
        )
        self._pe_bits = geometry.pes.bit_length() - 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        m.submodules.control = control = ControlUnit(geometry)
        pes = [ProcessingElement(geometry) for _ in range(geometry.pes)]
        for index, pe in enumerate(pes):
            m.submodules[f"pe_{index}"] = emit_once(pe, platform, parameters=geometry)

        # Host side.
        m.d.comb += [
            control.start.eq(self.start),
            control.first.eq(self.first),
            self.idle.eq(control.idle),
            self.done.eq(control.done),
        ]
        wiring.connect(m, wiring.flipped(self.read), control.read)
        wiring.connect(m, control.result, wiring.flipped(self.result))

        self._broadcast(m, control, pes)
        self._fetch(m, control, pes)
        self._load(m, control, pes)
        self._observe(m, control, pes)
        return m

    def _broadcast(self, m: Module, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        """Sends columns, and the layer's parameters, to all PEs at once."""
        m.d.comb += [
            control.broadcast.ready.eq(Cat(pe.room for pe in pes).all()),
            control.pes_busy.eq(Cat(pe.busy for pe in pes).any()),
        ]
        for pe in pes:
            m.d.comb += [
                pe.broadcast.valid.eq(control.broadcast.valid & control.broadcast.ready),
                pe.broadcast.payload.eq(control.broadcast.payload),
                pe.codebook.eq(control.codebook),
            ]
        wiring.connect(m, control.rounding, *(pe.rounding for pe in pes))
        wiring.connect(m, control.files, *(pe.files for pe in pes))

    def _fetch(self, m: Module, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        """Connects the window's flags, in the order of the activations, and one activation to the control unit."""
        wanted = control.fetch.addr[: self._pe_bits]
        fetched = Signal(bits_for(len(pes)), name="fetched_pe")
        with m.If(control.fetch.en):
            m.d.sync += fetched.eq(wanted)
        for index, pe in enumerate(pes):
            m.d.comb += [
                pe.fetch.en.eq(control.fetch.en & (wanted == index)),
                pe.fetch.addr.eq(control.fetch.addr >> self._pe_bits),
            ]
        m.d.comb += [
            control.flags.eq(Cat(pe.flags[row] for row in range(self.geometry.rows_per_window) for pe in pes)),
            control.fetch.data.eq(Choice([pe.fetch.data for pe in pes])[fetched]),
        ]

    def _load(self, m: Module, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        """Sends a transfer to the control unit, to one PE or to all PEs; for inputs, one activation to each of `lanes`
        consecutive PEs."""
        load = self.load.payload
        loads = Signal(name="writes")
        m.d.comb += [self.load.ready.eq(control.idle), loads.eq(self.load.valid & self.load.ready)]

        def to(target: Any) -> Value:
            return loads & (load.target == target)

        activations = load.target == LoadTarget.ACTIVATIONS
        m.d.comb += [
            control.load.en.eq(to(LoadTarget.LAYERS)),
            control.load.addr.eq(load.address),
            control.load.data.eq(load.data),
            control.load_activations.eq(to(LoadTarget.ACTIVATIONS)),
        ]
        lanes = self.geometry.activation_lanes
        lane_bits = lanes.bit_length() - 1
        for index, pe in enumerate(pes):
            chosen = load.pe == index
            neighbour = load.address[lane_bits : self._pe_bits] == index // lanes
            m.d.comb += [
                pe.load.entries.eq(to(LoadTarget.ENTRIES) & chosen),
                pe.load.pointers.eq(to(LoadTarget.POINTERS) & chosen),
                pe.load.codebooks.eq(to(LoadTarget.CODEBOOKS)),
                pe.load.activations.eq(to(LoadTarget.ACTIVATIONS) & neighbour),
                pe.load.addr.eq(Mux(activations, load.address >> self._pe_bits, load.address)),
                pe.load.codebook_addr.eq(load.address),
                pe.load.data.eq(load.data),
                pe.load.activation.eq(load.data.word_select(index % lanes, VALUE_BITS)),
            ]

    def _observe(self, m: Module, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        m.d.comb += [
            self.monitor.running.eq(control.running),
            self.monitor.layer.eq(control.layer),
            self.monitor.blocked.eq(control.broadcast.valid & ~control.broadcast.ready),
            self.monitor.draining.eq(control.draining),
        ]
        for index, pe in enumerate(pes):
            m.d.comb += [
                self.monitor.activity[index].eq(pe.activity),
                self.monitor.level[index].eq(pe.level),
            ]
