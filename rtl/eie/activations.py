"""Activation read/write unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Const, Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.sram import Sram


class ActivationFiles(wiring.Component):
    """Two files of accumulators, source and destination, that change their roles at the end of a layer (EIE section
    IV, activation read/write).

    A file keeps whole accumulators: they are rounded to activations when they are read as the next layer's source, so
    that a layer ends without a pass over its outputs. Beside each row stand two flags: `written`, without which the
    row reads as zero (which is how a file is cleared in one cycle), and `nonzero`, in which the next layer searches for
    its activations.

    `read`, `write` and `flag` serve the arithmetic unit and act on the destination; `fetch`, `load` and `flags` act
    on the source. `read_data` and `fetch_data` follow their row by one cycle, and keep it until the next; `flags`
    shows those of the rows `window * rows_per_window` and up at once. `clear` empties the destination; `swap` exchanges
    the roles, and empties the new destination; what is written in the same cycle is kept in the file that becomes the
    source. A row read in the cycle in which it is written is undefined.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        row, accumulator = bits_for(geometry.activation_rows), signed(geometry.accumulator_bits)
        windows = geometry.activation_rows // geometry.rows_per_window
        super().__init__(
            {
                "read_en": In(1),
                "read_row": In(row),
                "read_data": Out(accumulator),
                "write_en": In(1),
                "write_row": In(row),
                "write_data": In(accumulator),
                "flag_en": In(1),
                "flag_row": In(row),
                "flag": In(1),
                "fetch_en": In(1),
                "fetch_row": In(row),
                "fetch_data": Out(accumulator),
                "load_en": In(1),
                "load_row": In(row),
                "load_data": In(signed(VALUE_BITS)),
                "window": In(bits_for(windows)),
                "flags": Out(geometry.rows_per_window),
                "clear": In(1),
                "swap": In(1),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rows = self.geometry.activation_rows
        bits = self.geometry.accumulator_bits

        def only(row: Any) -> Any:
            return (Const(1, rows) << row)[:rows]

        source = Signal()
        with m.If(self.swap):
            m.d.sync += source.eq(~source)

        read_data, fetch_data, flags = [], [], []
        for index in range(2):
            m.submodules[f"file_{index}"] = file = Sram(depth=rows, width=bits)
            written = Signal(rows, name=f"written_{index}")
            nonzero = Signal(rows, name=f"nonzero_{index}")
            # Whether the row at the memory's output has been written.
            known = Signal(name=f"known_{index}")
            is_source = source == index

            m.d.comb += [
                file.r_en.eq(Mux(is_source, self.fetch_en, self.read_en)),
                file.r_addr.eq(Mux(is_source, self.fetch_row, self.read_row)),
                file.w_en.eq(Mux(is_source, self.load_en, self.write_en)),
                file.w_addr.eq(Mux(is_source, self.load_row, self.write_row)),
                file.w_data.eq(Mux(is_source, self.load_data, self.write_data)),
            ]
            with m.If(file.r_en):
                m.d.sync += known.eq((written & only(file.r_addr)).any())
            with m.If(file.w_en):
                m.d.sync += written.eq(written | only(file.w_addr))

            flag_en, flag_row, flag = Signal(), Signal(bits_for(rows)), Signal()
            m.d.comb += [
                flag_en.eq(Mux(is_source, self.load_en, self.flag_en)),
                flag_row.eq(Mux(is_source, self.load_row, self.flag_row)),
                flag.eq(Mux(is_source, self.load_data != 0, self.flag)),
            ]
            with m.If(flag_en):
                m.d.sync += nonzero.eq(Mux(flag, nonzero | only(flag_row), nonzero & ~only(flag_row)))

            with m.If(Mux(is_source, self.swap, self.clear)):
                m.d.sync += [written.eq(0), nonzero.eq(0)]

            read_data.append(Mux(known, file.r_data, 0).as_signed())
            fetch_data.append(read_data[-1])
            flags.append(nonzero.word_select(self.window, self.geometry.rows_per_window))

        m.d.comb += [
            self.read_data.eq(Mux(source, read_data[0], read_data[1])),
            self.fetch_data.eq(Mux(source, fetch_data[1], fetch_data[0])),
            self.flags.eq(Mux(source, flags[1], flags[0])),
        ]
        return m
