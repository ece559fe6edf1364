# amaranth: UnusedElaboratable=no
# (where PEs are emitted once, one of them stands for all: zeroskip.rtl.hierarchy)
"""The EIE array: processing elements under one control unit."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Array as Choice
from amaranth.hdl import Cat, Module, Signal, signed
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

    I/O mode, while `idle`: `load` fills the memories (see LoadTarget), `read` takes the index of an activation and
    `result` gives its value, in order. Every input of a network is loaded before a start, the zeros too. `start` is
    taken while `idle`; the array then runs the layers of its table from `first` to one that is marked last, and `done`
    is high for one cycle when the results can be read. `load` takes one transfer a cycle; `result` follows `read` by
    three cycles, at one a cycle.

    zeroskip.model.eie.golden computes the results, bit for bit, and zeroskip.model.eie.cycles the cycles from `start`
    to `done`.
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

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        pe_bits = geometry.pes.bit_length() - 1
        lanes = geometry.activation_lanes

        m.submodules.control = control = ControlUnit(geometry)
        pes = [ProcessingElement(geometry) for _ in range(geometry.pes)]
        for index, pe in enumerate(pes):
            m.submodules[f"pe_{index}"] = emit_once(pe, platform, parameters=geometry)

        # Column broadcast, and what tells that it can go on.
        m.d.comb += [
            control.broadcast.ready.eq(Cat(pe.room for pe in pes).all()),
            control.pes_busy.eq(Cat(pe.busy for pe in pes).any()),
        ]
        # Flags of the window, in the order of the activations; and the way of one activation to the control unit.
        fetched_pe = Signal(bits_for(geometry.pes))
        with m.If(control.fetch_en):
            m.d.sync += fetched_pe.eq(control.fetch_index[:pe_bits])
        m.d.comb += [
            control.flags.eq(Cat(pe.flags[row] for row in range(geometry.rows_per_window) for pe in pes)),
            control.fetch_data.eq(Choice([pe.fetch_data for pe in pes])[fetched_pe]),
        ]
        for index, pe in enumerate(pes):
            m.d.comb += [
                pe.broadcast.valid.eq(control.broadcast.valid & control.broadcast.ready),
                pe.broadcast.payload.eq(control.broadcast.payload),
                pe.codebook.eq(control.codebook),
                pe.half.eq(control.half),
                pe.relu.eq(control.relu),
                pe.window.eq(control.window),
                pe.clear.eq(control.clear),
                pe.swap.eq(control.swap),
                pe.fetch_en.eq(control.fetch_en & (control.fetch_index[:pe_bits] == index)),
                pe.fetch_row.eq(control.fetch_index >> pe_bits),
            ]

        # Host side.
        m.d.comb += [
            control.start.eq(self.start),
            control.first.eq(self.first),
            self.idle.eq(control.idle),
            self.done.eq(control.done),
        ]
        wiring.connect(m, wiring.flipped(self.read), control.read)
        wiring.connect(m, control.result, wiring.flipped(self.result))

        # I/O mode: a transfer goes to one PE, or to all of them, or an activation to each of `lanes` neighbours.
        load = self.load.payload
        writes = Signal()
        m.d.comb += [
            self.load.ready.eq(control.idle),
            writes.eq(self.load.valid & self.load.ready),
            control.load_en.eq(writes & (load.target == LoadTarget.LAYERS)),
            control.load_addr.eq(load.address),
            control.load_data.eq(load.data),
            control.load_activations.eq(writes & (load.target == LoadTarget.ACTIVATIONS)),
        ]
        lane_bits = lanes.bit_length() - 1
        activations = load.target == LoadTarget.ACTIVATIONS
        for index, pe in enumerate(pes):
            lane = index % lanes
            chosen = writes & (load.pe == index)
            neighbour = load.address[lane_bits:pe_bits] == index // lanes
            with m.If(activations):
                m.d.comb += pe.load_addr.eq(load.address >> pe_bits)
            with m.Else():
                m.d.comb += pe.load_addr.eq(load.address)
            m.d.comb += [
                pe.load_codebook_addr.eq(load.address),
                pe.load_data.eq(load.data),
                pe.load_activation.eq(load.data.word_select(lane, VALUE_BITS)),
                pe.load_entries.eq(chosen & (load.target == LoadTarget.ENTRIES)),
                pe.load_pointers.eq(chosen & (load.target == LoadTarget.POINTERS)),
                pe.load_codebooks.eq(writes & (load.target == LoadTarget.CODEBOOKS)),
                pe.load_activations.eq(writes & activations & neighbour),
            ]

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
        return m
