"""Central control unit."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import memory, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import broadcast_layout, layer_layout
from zeroskip.rtl.eie.requantise import Requantise
from zeroskip.rtl.eie.scanner import NonzeroScanner, found_layout


class ControlUnit(wiring.Component):
    """Root of the array (EIE section IV, central control unit): runs the layers of its table from `start` to `done`.

    While it stands still (I/O mode), memories may be loaded, and activations are read: an index at `read` is answered
    at `result`. `start` is taken in a cycle in which `idle` is high. For each layer from `first` to one marked last, it
    then broadcasts (computing mode) the non-zero activations in increasing order, one a cycle unless a PE has no room,
    and the bias column at the end; once the PEs have come to rest, the activation files swap and the next layer starts.
    `done` is high for one cycle, and the results are those of the last layer.

    An activation passes three registers from the scanner to the broadcast: `fetch`, where it is read from its PE's
    source file; `raw`, the accumulator; `broadcast`, where it has been requantised.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        windows = geometry.activation_rows // geometry.rows_per_window
        index = bits_for(geometry.activations)
        super().__init__(
            {
                # host
                "start": In(1),
                "first": In(bits_for(geometry.layers)),
                "idle": Out(1),
                "done": Out(1),
                "read": In(stream.Signature(index)),
                "result": Out(stream.Signature(signed(VALUE_BITS))),
                "load_en": In(1),
                "load_addr": In(bits_for(geometry.layers)),
                "load_data": In(layer_layout(geometry)),
                "load_activations": In(1),
                # activation files
                "window": Out(bits_for(windows)),
                "flags": In(geometry.window),
                "fetch_en": Out(1),
                "fetch_index": Out(index),
                "fetch_data": In(signed(geometry.accumulator_bits)),
                "clear": Out(1),
                "swap": Out(1),
                # arithmetic
                "codebook": Out(bits_for(geometry.layers)),
                "half": Out(geometry.accumulator_bits - 1),
                "relu": Out(1),
                # columns; ready while every PE has room
                "broadcast": Out(stream.Signature(broadcast_layout(geometry))),
                "pes_busy": In(1),
                # observer
                "running": Out(1),
                "layer": Out(bits_for(geometry.layers)),
                "draining": Out(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry

        m.submodules.table = table = memory.Memory(shape=layer_layout(geometry), depth=geometry.layers, init=[])
        write, read = table.write_port(), table.read_port(domain="comb")
        layer = read.data
        m.d.comb += [
            write.en.eq(self.load_en),
            write.addr.eq(self.load_addr),
            write.data.eq(self.load_data),
            read.addr.eq(self.layer),
            self.codebook.eq(layer.codebook),
            self.half.eq(((1 << layer.out_shift) >> 1)[: len(self.half)]),
            self.relu.eq(layer.relu),
        ]

        running = self.running
        m.submodules.scanner = scanner = NonzeroScanner(geometry)
        m.d.comb += [
            scanner.enable.eq(running),
            scanner.inputs.eq(layer.inputs),
            scanner.bias.eq(layer.bias),
            scanner.flags.eq(self.flags),
            self.window.eq(scanner.window),
        ]

        # Three registers that pass an activation on as soon as the next one is free.
        fetch_valid, raw_valid, ready_valid = Signal(), Signal(), Signal()
        fetch, raw = Signal(found_layout(geometry)), Signal(found_layout(geometry))
        fetch_moves, raw_moves, leaves = Signal(), Signal(), Signal()
        m.d.comb += [
            leaves.eq(Mux(running, self.broadcast.ready, self.result.ready)),
            raw_moves.eq(raw_valid & (~ready_valid | leaves)),
            fetch_moves.eq(fetch_valid & (~raw_valid | raw_moves)),
        ]

        # fetch: from the scanner while running, from the read port in I/O mode
        wanted = Signal(found_layout(geometry))
        wants, fetch_free = Signal(), Signal()
        m.d.comb += [
            fetch_free.eq(~fetch_valid | fetch_moves),
            wants.eq(Mux(running, scanner.o.valid, self.read.valid & ~self.start)),
            wanted.index.eq(Mux(running, scanner.o.payload.index, self.read.payload)),
            wanted.bias.eq(running & scanner.o.payload.bias),
            scanner.o.ready.eq(running & fetch_free),
            self.read.ready.eq(~running & ~self.start & fetch_free),
            self.fetch_en.eq(wants & fetch_free & ~wanted.bias),
            self.fetch_index.eq(wanted.index),
        ]
        with m.If(wants & fetch_free):
            m.d.sync += [fetch_valid.eq(1), fetch.eq(wanted)]
        with m.Elif(fetch_moves):
            m.d.sync += fetch_valid.eq(0)

        # raw
        accumulator = Signal(signed(geometry.accumulator_bits))
        with m.If(fetch_moves):
            m.d.sync += [raw_valid.eq(1), raw.eq(fetch), accumulator.eq(self.fetch_data)]
        with m.Elif(raw_moves):
            m.d.sync += raw_valid.eq(0)

        # broadcast: what the source file holds was made by the layer before, and is rounded as that layer says
        m.submodules.requantise = requantise = Requantise(geometry)
        source_shift, source_relu = Signal.like(layer.out_shift), Signal()
        value = Signal(signed(VALUE_BITS))
        pointer = Signal(bits_for(geometry.pointers))
        m.d.comb += [
            requantise.i.eq(accumulator),
            requantise.shift.eq(source_shift),
            requantise.relu.eq(source_relu),
        ]
        with m.If(raw_moves):
            m.d.sync += [
                ready_valid.eq(1),
                value.eq(Mux(raw.bias, layer.bias_one, requantise.o)),
                pointer.eq(layer.pointer_base + raw.index),
            ]
        with m.Elif(leaves):
            m.d.sync += ready_valid.eq(0)
        m.d.comb += [
            self.broadcast.valid.eq(running & ready_valid),
            self.broadcast.payload.eq(Cat(value, pointer)),
            self.result.valid.eq(~running & ready_valid),
            self.result.payload.eq(value),
        ]

        # layers
        holds_any = fetch_valid | raw_valid | ready_valid
        m.d.comb += [
            self.idle.eq(~running & ~holds_any),
            self.draining.eq(running & scanner.exhausted & ~holds_any),
        ]
        m.d.sync += self.done.eq(0)
        with m.If(self.load_activations):
            # The source file holds inputs now, and no longer the sums of the last layer.
            m.d.sync += [source_shift.eq(0), source_relu.eq(0)]
        with m.If(self.start & self.idle):
            m.d.comb += [scanner.begin.eq(1), self.clear.eq(1)]
            m.d.sync += [running.eq(1), self.layer.eq(self.first)]
        with m.If(self.draining & ~self.pes_busy):
            m.d.comb += [scanner.begin.eq(1), self.swap.eq(1)]
            m.d.sync += [
                self.layer.eq(self.layer + 1),
                source_shift.eq(layer.out_shift),
                source_relu.eq(layer.relu),
            ]
            with m.If(layer.last):
                m.d.sync += [running.eq(0), self.done.eq(1)]
        return m
