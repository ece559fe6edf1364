"""Processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Module, signed
from amaranth.lib import stream, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.activations import ActivationFiles
from zeroskip.rtl.eie.arithmetic import ArithmeticUnit
from zeroskip.rtl.eie.decoder import WeightDecoder
from zeroskip.rtl.eie.layouts import Activity, broadcast_layout, load_data_bits
from zeroskip.rtl.eie.lookahead import LookAhead
from zeroskip.rtl.eie.pointers import PointerRead
from zeroskip.rtl.eie.queue import ActivationQueue
from zeroskip.rtl.eie.spmat import SparseMatrixRead


class ProcessingElement(wiring.Component):
    """One of the PEs of the array (EIE section IV, figure 4).

        broadcast -> pointer read -> queue -> sparse-matrix read -> look-ahead -> decoder -> arithmetic <-> files

    A column goes on into the queue in the cycle after its broadcast; its first update is issued three cycles later if
    nothing is before it, and stands in the destination file three cycles after that. As long as there are
    columns in the queue, every cycle goes to an update or is lost to a word of which the column holds padding alone.

    `room` allows a broadcast: the columns in the queue and the one that may be on its way there leave a place.
    `busy` is high until the last update has been written and flagged. Nothing in a PE depends on its place in the
    array, so that one module serves for all.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        row = bits_for(geometry.activation_rows)
        super().__init__(
            {
                "broadcast": In(stream.Signature(broadcast_layout(geometry), always_ready=True)),
                "room": Out(1),
                "busy": Out(1),
                "codebook": In(bits_for(geometry.layers)),
                "half": In(geometry.accumulator_bits - 1),
                "relu": In(1),
                "window": In(bits_for(geometry.activation_rows // geometry.rows_per_window)),
                "flags": Out(geometry.rows_per_window),
                "fetch_en": In(1),
                "fetch_row": In(row),
                "fetch_data": Out(signed(geometry.accumulator_bits)),
                "clear": In(1),
                "swap": In(1),
                "load_entries": In(1),
                "load_pointers": In(1),
                "load_codebooks": In(1),
                "load_activations": In(1),
                "load_addr": In(max(bits_for(geometry.entry_words), bits_for(geometry.pointers), row)),
                "load_codebook_addr": In(bits_for(geometry.layers) + geometry.code_bits),
                "load_data": In(load_data_bits(geometry)),
                "load_activation": In(VALUE_BITS),
                "level": Out(range(geometry.queue_depth + 1)),
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

        # The column's way. The queue always takes what the pointer read unit gives: `room` has seen to it.
        wiring.connect(m, spmat.o, lookahead.i)
        wiring.connect(m, queue.o, spmat.i)
        wiring.connect(m, lookahead.o, decoder.i)
        wiring.connect(m, decoder.o, arithmetic.i)
        m.d.comb += [
            pointers.i.valid.eq(self.broadcast.valid),
            pointers.i.payload.eq(self.broadcast.payload),
            queue.i.valid.eq(pointers.o.valid),
            queue.i.payload.eq(pointers.o.payload),
            self.room.eq(queue.level + pointers.busy < geometry.queue_depth),
            self.level.eq(queue.level),
            self.activity.eq(lookahead.activity),
            self.busy.eq(
                pointers.busy
                | (queue.level != 0)
                | spmat.o.valid
                | (lookahead.activity != Activity.IDLE)
                | arithmetic.busy
            ),
        ]

        # The layer's parameters, and the two sides of the activation files.
        m.d.comb += [
            decoder.codebook.eq(self.codebook),
            arithmetic.half.eq(self.half),
            arithmetic.relu.eq(self.relu),
            files.read_en.eq(arithmetic.read_en),
            files.read_row.eq(arithmetic.read_row),
            arithmetic.read_data.eq(files.read_data),
            files.write_en.eq(arithmetic.write_en),
            files.write_row.eq(arithmetic.write_row),
            files.write_data.eq(arithmetic.write_data),
            files.flag_en.eq(arithmetic.flag_en),
            files.flag_row.eq(arithmetic.flag_row),
            files.flag.eq(arithmetic.flag),
            files.fetch_en.eq(self.fetch_en),
            files.fetch_row.eq(self.fetch_row),
            self.fetch_data.eq(files.fetch_data),
            files.window.eq(self.window),
            self.flags.eq(files.flags),
            files.clear.eq(self.clear),
            files.swap.eq(self.swap),
        ]

        # I/O mode
        m.d.comb += [
            spmat.load_en.eq(self.load_entries),
            spmat.load_addr.eq(self.load_addr),
            spmat.load_data.eq(self.load_data),
            pointers.load_en.eq(self.load_pointers),
            pointers.load_addr.eq(self.load_addr),
            pointers.load_data.eq(self.load_data),
            decoder.load_en.eq(self.load_codebooks),
            decoder.load_addr.eq(self.load_codebook_addr),
            decoder.load_data.eq(self.load_data),
            files.load_en.eq(self.load_activations),
            files.load_row.eq(self.load_addr),
            files.load_data.eq(self.load_activation),
        ]
        return m
