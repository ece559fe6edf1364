# amaranth: UnusedElaboratable=no
# (a shared PE is emitted once, and the design holds instances of it: zeroskip.rtl.hierarchy)
"""The EIE array: processing elements under one control unit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.codebooks import CodebookStore
from zeroskip.rtl.eie.control import ControlUnit
from zeroskip.rtl.eie.fetch import fetch_latency
from zeroskip.rtl.eie.hops import Hops
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

    Between the control unit and the PEs, signals pass `geometry.hops` registers in each direction
    (zeroskip.rtl.eie.hops).

    Latency: `result` follows `read` by `read_latency` cycles. Throughput: one transfer of `load`, `read` and `result` a
    cycle.

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

    @property
    def read_latency(self) -> int:
        """Cycles from a read to its result."""
        return fetch_latency(self.geometry)

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

        hops = Hops(m, platform, geometry)
        self._broadcast(m, hops, control, pes)
        self._codebooks(m, hops, control, pes)
        self._search(m, hops, control, pes)
        self._fetch(m, hops, control, pes)
        self._load(m, hops, control, pes)
        self._observe(m, control, pes)
        return m

    def _broadcast(self, m: Module, hops: Hops, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        """Sends columns, and the layer's parameters, to all PEs at once."""
        full = Signal(len(pes))
        busy = Signal(len(pes))
        m.d.sync += [full.eq(Cat(~pe.room for pe in pes)), busy.eq(Cat(pe.busy for pe in pes))]
        m.d.comb += [
            control.room.eq(~hops.together(list(full), "full", resets=True)),
            control.pes_busy.eq(hops.together(list(busy), "busy", resets=True)),
        ]
        for pe, column in zip(pes, hops.to_each(control.broadcast.payload.as_value(), "shared"), strict=True):
            m.d.comb += pe.broadcast.payload.as_value().eq(column)
        strobes = Cat(control.broadcast.valid, control.files.clear, control.files.swap)
        for pe, seen in zip(pes, hops.to_each(strobes, "strobes", resets=True), strict=True):
            m.d.comb += Cat(pe.broadcast.valid, pe.files.clear, pe.files.swap).eq(seen)
        rounding = Cat(control.rounding.half, control.rounding.relu)
        for pe, seen in zip(pes, hops.to_neighbours(rounding, "rounding"), strict=True):
            m.d.comb += Cat(pe.rounding.half, pe.rounding.relu).eq(seen)

    def _codebooks(self, m: Module, hops: Hops, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        """Sends each layer's codebook from the store to all PEs."""
        m.submodules.codebooks = store = CodebookStore(self.geometry)
        load = self.load.payload
        m.d.comb += [
            store.begin.eq(control.begin),
            store.codebook.eq(control.codebook),
            store.load.en.eq(self.load.valid & self.load.ready & (load.target == LoadTarget.CODEBOOKS)),
            store.load.addr.eq(load.address),
            store.load.data.eq(load.data),
        ]
        values = Cat(store.o.addr, store.o.data)
        seen = zip(
            pes,
            hops.to_neighbours(store.o.en, "codebook_en", resets=True),
            hops.to_neighbours(values, "codebook"),
            strict=True,
        )
        for pe, en, written in seen:
            m.d.comb += [pe.codebook.en.eq(en), Cat(pe.codebook.addr, pe.codebook.data).eq(written)]

    def _search(self, m: Module, hops: Hops, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        """Connects the window's flags, in the order of the activations, to the control unit."""
        window = control.files.window
        if self.geometry.hops:
            # What a register holds that takes a new window while `advance` is high: the PEs' own need not know of it.
            held = Signal.like(window, name="window_held", reset_less=True)
            window = Mux(control.advance, window, held)
            m.d.sync += held.eq(window)
        for pe, seen in zip(pes, hops.to_each(window, "window"), strict=True):
            m.d.comb += pe.files.window.eq(seen)
        flags = Cat(pe.flags[row] for row in range(self.geometry.rows_per_window) for pe in pes)
        m.d.comb += control.flags.eq(hops.from_all(flags, "flags", control.advance))

    def _fetch(self, m: Module, hops: Hops, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        """Connects one activation to the control unit: each PE gives zero unless it was asked."""
        en, addr = control.fetch.en, control.fetch.addr
        read = hops.to_neighbours(addr >> self._pe_bits, "fetch_addr")
        asked, answers = Signal(len(pes)), Signal(len(pes))
        m.d.sync += answers.eq(asked)
        rows = []
        for index, pe in enumerate(pes):
            asks = en & (addr[: self._pe_bits] == index)
            m.d.comb += [
                pe.fetch.en.eq(hops.strobe_to_one(asks, f"fetch_{index}")),
                pe.fetch.addr.eq(read[index]),
            ]
            row = Signal.like(pe.fetch.data, name=f"row_{index}", reset_less=True)
            m.d.sync += [asked[index].eq(pe.fetch.en), row.eq(Mux(answers[index], pe.fetch.data, 0))]
            rows.append(row)
        m.d.comb += control.fetch.data.eq(hops.together(rows, "row"))

    def _load(self, m: Module, hops: Hops, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        """Sends a transfer to the control unit, to one PE or to all PEs; for inputs, one activation to each of `lanes`
        consecutive PEs."""
        loads = self.load.valid & self.load.ready
        m.d.comb += [
            self.load.ready.eq(control.idle),
            control.load.en.eq(loads & (self.load.payload.target == LoadTarget.LAYERS)),
            control.load.addr.eq(self.load.payload.address),
            control.load.data.eq(self.load.payload.data),
            control.load_activations.eq(loads & (self.load.payload.target == LoadTarget.ACTIVATIONS)),
        ]

        # The PEs see a transfer in the next cycle: the scanner looks at their flags later than that. What all need to
        # know of it is found before, and which of them it is for is decided in front of the hops.
        lanes = self.geometry.activation_lanes
        lane_bits = lanes.bit_length() - 1
        load = Signal(load_layout(self.geometry), name="transfer", reset_less=True)
        nonzero = Signal(lanes, reset_less=True)
        entries, pointers, activations = (Signal(name=f"writes_{what}") for what in ("entries", "pointers", "inputs"))
        targets = (LoadTarget.ENTRIES, LoadTarget.POINTERS, LoadTarget.ACTIVATIONS)
        m.d.sync += [
            load.eq(self.load.payload),
            nonzero.eq(Cat(self.load.payload.data.word_select(lane, VALUE_BITS).any() for lane in range(lanes))),
            Cat(entries, pointers, activations).eq(
                Cat(loads & (self.load.payload.target == target) for target in targets)
            ),
        ]

        words = hops.to_neighbours(Cat(load.address, load.data, nonzero), "word")
        for index, pe in enumerate(pes):
            neighbour = load.address[lane_bits : self._pe_bits] == index // lanes
            strobes = Cat(entries & (load.pe == index), pointers & (load.pe == index), activations & neighbour)
            m.d.comb += Cat(pe.load.entries, pe.load.pointers, pe.load.activations).eq(
                hops.to_one(strobes, f"load_{index}", resets=True)
            )
            address, data = words[index][: len(load.address)], words[index][len(load.address) : -lanes]
            m.d.comb += [
                pe.load.addr.eq(address),
                pe.load.data.eq(data),
                pe.load.row.eq(address[self._pe_bits :]),
                pe.load.activation.eq(data.word_select(index % lanes, VALUE_BITS)),
                pe.load.nonzero.eq(words[index][-lanes:][index % lanes]),
            ]

    def _observe(self, m: Module, control: ControlUnit, pes: Sequence[ProcessingElement]) -> None:
        m.d.comb += [
            self.monitor.running.eq(control.running),
            self.monitor.layer.eq(control.layer),
            self.monitor.blocked.eq(control.blocked),
            self.monitor.draining.eq(control.draining),
        ]
        for index, pe in enumerate(pes):
            m.d.comb += [
                self.monitor.activity[index].eq(pe.activity),
                self.monitor.level[index].eq(pe.level),
            ]
