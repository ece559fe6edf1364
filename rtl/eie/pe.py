"""Processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, Value, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.activations import ActivationFiles
from zeroskip.rtl.eie.arithmetic import ArithmeticUnit
from zeroskip.rtl.eie.decoder import WeightDecoder
from zeroskip.rtl.eie.layouts import Activity, broadcast_layout
from zeroskip.rtl.eie.lookahead import LookAhead
from zeroskip.rtl.eie.pointers import PointerRead
from zeroskip.rtl.eie.ports import codebook_values, files_control, pe_load, rounding_control
from zeroskip.rtl.eie.queue import ActivationQueue
from zeroskip.rtl.eie.spmat import SparseMatrixRead
from zeroskip.rtl.ports import read_port


class ProcessingElement(wiring.Component):
    """One of the PEs of the array (EIE section IV, figure 4).

        broadcast -> pointer read -> queue -> sparse-matrix read -> look-ahead -> decoder -> arithmetic <-> files

    Nothing in a PE depends on its place in the array: all PEs share one module.

    Latency: a column is in the queue three cycles after its broadcast. If the PE is idle, its first update is issued
    four cycles later, and is in the destination file, with its flag, six cycles after that. Throughput: while there are
    columns in the queue, every cycle issues an update, or is lost to a word that holds only padding of its column.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    broadcast : stream of broadcast_layout, always ready, in
        Non-zero activations; one may be sent `geometry.room_cycles` cycles after one in which `room` is high.
    room : 1, out
        High while the queue holds fewer than `queue_full` columns.
    busy : 1, out
        High until the last update is in the destination file, with its flag, or will be `geometry.settle_cycles` cycles
        later.
    codebook : codebook_values, in
        Values of the layer's codebook, at its beginning.
    rounding : rounding_control, in
        How the layer's sums are rounded.
    files : files_control, in
        Window, clear and swap of the activation files.
    flags : rows_per_window, out
        The non-zero flags of the source's rows in the window.
    fetch : read_port(activation_rows, signed(accumulator_bits)), in
        Reads a row of the source.
    load : pe_load, in
        Writes the memories.
    level : range(queue_places + 1), out
        Columns in the queue, for an observer.
    activity : Activity, out
        What the arithmetic is used for in this cycle, for an observer.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "broadcast": In(stream.Signature(broadcast_layout(geometry), always_ready=True)),
                "room": Out(1),
                "busy": Out(1),
                "codebook": In(codebook_values(geometry)),
                "rounding": In(rounding_control(geometry)),
                "files": In(files_control(geometry)),
                "flags": Out(geometry.rows_per_window),
                "fetch": In(read_port(geometry.activation_rows, signed(geometry.accumulator_bits))),
                "load": In(pe_load(geometry)),
                "level": Out(range(geometry.queue_places + 1)),
                "activity": Out(Activity),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        m.submodules.pointers = pointers = PointerRead(geometry)
        m.submodules.queue = queue = ActivationQueue(geometry)
        m.submodules.spmat = spmat = SparseMatrixRead(geometry)
        m.submodules.lookahead = lookahead = LookAhead(geometry)
        m.submodules.decoder = decoder = WeightDecoder(geometry)
        m.submodules.arithmetic = arithmetic = ArithmeticUnit(geometry)
        m.submodules.files = files = ActivationFiles(geometry)

        # From the broadcast to the sum. The pointer read unit needs no `ready`: the queue has slots for the columns
        # that are on their way when `room` falls.
        wiring.connect(m, wiring.flipped(self.broadcast), pointers.i)
        m.d.comb += [queue.i.valid.eq(pointers.o.valid), queue.i.payload.eq(pointers.o.payload)]
        wiring.connect(m, queue.o, spmat.i)
        wiring.connect(m, spmat.o, lookahead.i)
        wiring.connect(m, lookahead.o, decoder.i)
        wiring.connect(m, decoder.o, arithmetic.i)
        # The files have a register for the row that they read: they see it beside the decoder.
        wiring.connect(m, arithmetic.destination, files.destination)
        m.d.comb += [
            files.read.en.eq(lookahead.o.valid),
            files.read.addr.eq(lookahead.o.payload.row),
            arithmetic.accumulator.eq(files.read.data),
        ]

        # The layer's parameters, and the next layer's search in the source file.
        m.d.comb += self.flags.eq(files.flags)
        wiring.connect(m, wiring.flipped(self.codebook), decoder.codebook)
        wiring.connect(m, wiring.flipped(self.rounding), arithmetic.rounding)
        wiring.connect(m, wiring.flipped(self.files), files.control)
        wiring.connect(m, wiring.flipped(self.fetch), files.fetch)

        # I/O mode
        def write(port: Any, en: Value, addr: Value, data: Value) -> None:
            m.d.comb += [port.en.eq(en), port.addr.eq(addr), port.data.eq(data)]

        load = self.load
        write(spmat.load, load.entries, load.addr, load.data)
        write(pointers.load, load.pointers, load.addr, load.data)
        write(files.load, load.activations, load.row, load.activation)
        m.d.comb += files.load_nonzero.eq(load.nonzero)

        m.d.comb += [
            self.room.eq(queue.level < geometry.queue_full),
            self.busy.eq(pointers.busy | (queue.level != 0) | spmat.busy | lookahead.busy | arithmetic.busy),
            self.level.eq(queue.level),
            self.activity.eq(lookahead.activity),
        ]
        return m
