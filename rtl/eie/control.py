"""Central control unit."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.fetch import ActivationFetch, fetch_latency
from zeroskip.rtl.eie.layouts import broadcast_layout, layer_layout
from zeroskip.rtl.eie.ports import files_control, rounding_control
from zeroskip.rtl.eie.scanner import NonzeroScanner, scan_latency
from zeroskip.rtl.ports import read_port, write_port
from zeroskip.rtl.word_store import WordStore


class ControlUnit(wiring.Component):
    """Root of the array (EIE section IV, central control unit): runs the layers of its table from `start` to `done`.

    Between runs (I/O mode), memories may be loaded and activations are read. In a run (computing mode), for each layer
    from `first` to one marked last, it broadcasts the non-zero activations in increasing order, one a cycle unless a PE
    has no room, and the bias column at the end. When all PEs are idle, the activation files swap and the next layer
    starts. The results are those of the last layer.

    The end of a layer is seen when every column has been sent, long enough ago for the PEs to be busy with it, and no
    PE is busy. It is the layer's last cycle but one.

    Latency: `result` follows `read` by `read_latency` cycles; the first broadcast of a layer is sent `first_broadcast`
    cycles after the cycle in which `start` is taken, or the last one of the layer before. Throughput: one result, or
    one broadcast, a cycle.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    start : 1, in
        Starts a run; taken in a cycle in which `idle` is high.
    first : bits_for(layers), in
        The first layer of the run.
    idle : 1, out
        High while no run and no read is under way.
    done : 1, out
        High for one cycle when a run has ended.
    read : stream of bits_for(activations), in
        Numbers of activations, between runs.
    result : stream of signed(VALUE_BITS), out
        Their values, in order.
    load : write_port(layers, layer_layout), in
        Writes a row of the layer table.
    load_activations : 1, in
        High when inputs are loaded into the source files.
    fetch : read_port(activations, signed(accumulator_bits)), out
        Reads an activation from the source file of its PE; the accumulator is there `geometry.fetch_cycles` later.
    files : files_control, out
        Window, clear and swap of all activation files.
    flags : window, in
        The non-zero flags of the window, in the order of the activations.
    advance : 1, out
        Registers on the way of the window and its flags take the next value while it is high.
    begin : 1, out
        High in the cycle before the first of a layer.
    codebook : bits_for(layers), out
        The codebook of the layer, from its second cycle on.
    rounding : rounding_control, out
        How the layer's sums are rounded.
    broadcast : stream of broadcast_layout, always ready, out
        Non-zero activations.
    room : 1, in
        High if every PE has room: a column may be broadcast in the next cycle.
    pes_busy : 1, in
        High while a PE is busy; at most `1 + geometry.hops` cycles late.
    running : 1, out
        High during a run, for an observer.
    layer : bits_for(layers), out
        The layer of the run.
    blocked : 1, out
        High when a column waits for room, for an observer.
    draining : 1, out
        High when every column of the layer has been broadcast, for an observer.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "start": In(1),
                "first": In(bits_for(geometry.layers)),
                "idle": Out(1),
                "done": Out(1),
                "read": In(stream.Signature(bits_for(geometry.activations))),
                "result": Out(stream.Signature(signed(VALUE_BITS))),
                "load": In(write_port(geometry.layers, layer_layout(geometry))),
                "load_activations": In(1),
                "fetch": Out(read_port(geometry.activations, signed(geometry.accumulator_bits))),
                "files": Out(files_control(geometry)),
                "flags": In(geometry.window),
                "advance": Out(1),
                "begin": Out(1),
                "codebook": Out(bits_for(geometry.layers)),
                "rounding": Out(rounding_control(geometry)),
                "broadcast": Out(stream.Signature(broadcast_layout(geometry), always_ready=True)),
                "room": In(1),
                "pes_busy": In(1),
                "running": Out(1),
                "layer": Out(bits_for(geometry.layers)),
                "blocked": Out(1),
                "draining": Out(1),
            }
        )

    @property
    def read_latency(self) -> int:
        """Cycles from a read to its result."""
        return fetch_latency(self.geometry)

    @property
    def first_broadcast(self) -> int:
        """Cycles to the first broadcast of a layer, where its first input is not zero: the scanner's, those of the
        fetch, and the register of the broadcast."""
        return 1 + scan_latency(self.geometry) + fetch_latency(self.geometry) + 1

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.scanner = scanner = NonzeroScanner(self.geometry)
        m.submodules.fetcher = fetcher = ActivationFetch(self.geometry)
        # The layer of the next cycle.
        following = Signal.like(self.layer)
        layer = self._look_up_layer(m, following)
        self._search(m, scanner, layer)
        self._fetch(m, scanner, fetcher, layer)
        sent = self._send(m, fetcher)
        self._run(m, scanner, fetcher, layer, following, sent)
        return m

    def _look_up_layer(self, m: Module, following: Signal) -> data.View[Any]:
        """The current layer's row of the layer table, from its second cycle on."""
        layout = layer_layout(self.geometry)
        m.submodules.table = table = WordStore(depth=self.geometry.layers, width=layout.size)
        layer = Signal(layout, reset_less=True)
        half = self.rounding.half
        m.d.comb += [
            table.write.en.eq(self.load.en),
            table.write.addr.eq(self.load.addr),
            table.write.data.eq(self.load.data),
            table.following.eq(following),
            self.codebook.eq(layer.codebook),
        ]
        m.d.sync += [
            layer.as_value().eq(table.o),
            half.eq(Cat(layer.out_shift == bit + 1 for bit in range(len(half)))),
            self.rounding.relu.eq(layer.relu),
        ]
        return layer

    def _search(self, m: Module, scanner: NonzeroScanner, layer: data.View[Any]) -> None:
        """Looks for the layer's non-zero inputs."""
        m.d.comb += [
            scanner.inputs.eq(layer.inputs),
            scanner.bias.eq(layer.bias),
            scanner.flags.eq(self.flags),
            self.files.window.eq(scanner.window),
            self.advance.eq(scanner.advance),
        ]

    def _fetch(self, m: Module, scanner: NonzeroScanner, fetcher: ActivationFetch, layer: data.View[Any]) -> None:
        """Fetches what the scanner found in a run, and what is read between runs."""
        may_read = ~self.running & ~self.start
        m.d.comb += [
            fetcher.i.valid.eq(Mux(self.running, scanner.o.valid, self.read.valid & ~self.start)),
            fetcher.i.payload.index.eq(Mux(self.running, scanner.o.payload.index, self.read.payload)),
            fetcher.i.payload.bias.eq(self.running & scanner.o.payload.bias),
            scanner.o.ready.eq(fetcher.i.ready),
            self.read.ready.eq(may_read & fetcher.i.ready),
            fetcher.bias_one.eq(layer.bias_one),
            fetcher.pointer_base.eq(layer.pointer_base),
        ]
        wiring.connect(m, fetcher.source, wiring.flipped(self.fetch))

    def _send(self, m: Module, fetcher: ActivationFetch) -> Signal:
        """Sends what was fetched to the PEs in a run, and to the host between runs. High when a column is sent: it is
        broadcast in the next cycle."""
        sent = Signal()
        m.d.comb += [
            sent.eq(self.running & fetcher.o.valid & self.room),
            fetcher.o.ready.eq(Mux(self.running, self.room, self.result.ready)),
            self.result.valid.eq(~self.running & fetcher.o.valid),
            self.result.payload.eq(fetcher.o.payload.value),
            self.blocked.eq(self.running & fetcher.o.valid & ~self.room),
        ]
        m.d.sync += [self.broadcast.valid.eq(sent), self.broadcast.payload.eq(fetcher.o.payload)]
        return sent

    def _run(
        self,
        m: Module,
        scanner: NonzeroScanner,
        fetcher: ActivationFetch,
        layer: data.View[Any],
        following: Signal,
        sent: Signal,
    ) -> None:
        """The state machine: runs layer after layer."""
        # The source file holds the previous layer's sums: they are rounded as that layer specifies.
        source_shift = Signal.like(layer.out_shift)
        source_relu = Signal()
        # High in the layer's last cycle.
        ending = Signal()
        # The cycles behind a column that was sent in which no PE shows yet that it is busy with it.
        unseen = Signal(2 + 2 * self.geometry.hops)
        at_rest = ~unseen.any() & ~self.pes_busy
        m.d.comb += [
            fetcher.shift.eq(source_shift),
            fetcher.relu.eq(source_relu),
            self.idle.eq(~self.running & ~fetcher.busy),
            self.draining.eq(self.running & scanner.exhausted & ~fetcher.busy),
            self.files.swap.eq(ending),
            self.begin.eq((self.start & self.idle) | (ending & ~layer.last)),
            scanner.begin.eq(self.begin),
        ]
        m.d.sync += [
            unseen.eq((unseen << 1) | sent),
            ending.eq(self.draining & at_rest & ~ending),
            self.files.clear.eq(self.start & self.idle),
            self.done.eq(ending & layer.last),
        ]
        with m.If(self.load_activations):
            # The source file now holds inputs, no longer the sums of the last layer.
            m.d.sync += [source_shift.eq(0), source_relu.eq(0)]
        m.d.comb += following.eq(self.layer)
        m.d.sync += self.layer.eq(following)
        with m.If(self.start & self.idle):
            m.d.comb += following.eq(self.first)
            m.d.sync += self.running.eq(1)
        with m.If(ending):
            m.d.comb += following.eq(self.layer + 1)
            m.d.sync += [
                self.running.eq(~layer.last),
                source_shift.eq(layer.out_shift),
                source_relu.eq(layer.relu),
            ]
