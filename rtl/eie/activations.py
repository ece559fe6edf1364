"""Activation read/write unit of a processing element."""

from __future__ import annotations

import math
from typing import Any

from amaranth.hdl import Module, Mux, Signal, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.bits import bits_for, power_of_two_at_least
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.ports import accumulators_port, files_control
from zeroskip.rtl.eie.row_flags import RowFlags
from zeroskip.rtl.ports import read_port, write_port
from zeroskip.rtl.sram import Sram


class ActivationFile(wiring.Component):
    """A file of accumulators that is emptied in one cycle.

    Each row has two flags: `written` (a row without it is to be read as zero) and `nonzero`.

    Latency: `read.data` and `known` follow `read` by one cycle, `flags` follows `window` in the same.
    Throughput: one read, one write and one flag a cycle. A row that is read in the cycle in which it is written is
    undefined.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    read : read_port(activation_rows, signed(accumulator_bits)), in
        Reads the accumulator of a row.
    known : 1, out
        Whether the row of `read.data` has been written; if not, the data is undefined.
    write : write_port(activation_rows, signed(accumulator_bits)), in
        Writes the accumulator of a row.
    flag : write_port(activation_rows, 1), in
        Writes the `nonzero` flag of a row.
    clear : 1, in
        Empties the file; writes and flags of the same cycle are lost too.
    window : bits_for(activation_rows // rows_per_window), in
        A window of rows.
    flags : rows_per_window, out
        The `nonzero` flags of the window's rows.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        rows, accumulator = geometry.activation_rows, signed(geometry.accumulator_bits)
        super().__init__(
            {
                "read": In(read_port(rows, accumulator)),
                "known": Out(1),
                "write": In(write_port(rows, accumulator)),
                "flag": In(write_port(rows, 1)),
                "clear": In(1),
                "window": In(bits_for(rows // geometry.rows_per_window)),
                "flags": Out(geometry.rows_per_window),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        geometry = self.geometry
        rows = geometry.activation_rows
        m.submodules.sums = sums = Sram(depth=rows, width=geometry.accumulator_bits)
        # About as many words as flags in each: neither many marks nor wide words.
        group = power_of_two_at_least(math.isqrt(rows))
        m.submodules.written = written = RowFlags(rows, group)
        m.submodules.nonzero = nonzero = RowFlags(rows, max(group, geometry.rows_per_window))
        wiring.connect(m, sums.write, wiring.flipped(self.write))
        wiring.connect(m, sums.read, wiring.flipped(self.read))
        wiring.connect(m, nonzero.write, wiring.flipped(self.flag))

        place = group.bit_length() - 1
        m.d.comb += [
            written.index.eq(self.read.addr >> place),
            written.write.en.eq(self.write.en),
            written.write.addr.eq(self.write.addr),
            written.write.data.eq(1),
            written.clear.eq(self.clear),
        ]
        with m.If(self.read.en):
            m.d.sync += self.known.eq(written.o.bit_select(self.read.addr[:place], 1))

        windows = nonzero.group // geometry.rows_per_window
        m.d.comb += [
            nonzero.index.eq(self.window >> (windows.bit_length() - 1)),
            self.flags.eq(nonzero.o.word_select(self.window % windows, geometry.rows_per_window)),
            nonzero.clear.eq(self.clear),
        ]
        return m


class ActivationFiles(wiring.Component):
    """Two files of accumulators, source and destination, that exchange their roles at the end of a layer (EIE section
    IV, activation read/write).

    The files hold accumulators, not activations: the next layer rounds them when it reads its source, so that
    no pass over the outputs is needed at the end of a layer. The next layer searches the `nonzero` flags for its
    activations.

    Latency: `destination.read.data` and `fetch.data` follow their row by one cycle, and are kept until the next read;
    `flags` follows `control.window` in the same cycle. A row that is read in the cycle in which it is written is
    undefined. Throughput: one access a cycle through each port.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    destination : accumulators_port, in
        The arithmetic unit's access to the destination.
    fetch : read_port(activation_rows, signed(accumulator_bits)), in
        Reads a row of the source.
    load : write_port(activation_rows, signed(VALUE_BITS)), in
        Writes a row of the source, and flags it; not in a cycle in which `destination` writes or flags.
    control : files_control, in
        Window, clear and swap. A write in the cycle of a swap goes to the file that becomes the source.
    flags : rows_per_window, out
        The non-zero flags of the source's rows `window * rows_per_window` and up.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        rows = geometry.activation_rows
        super().__init__(
            {
                "destination": In(accumulators_port(geometry)),
                "fetch": In(read_port(rows, signed(geometry.accumulator_bits))),
                "load": In(write_port(rows, signed(VALUE_BITS))),
                "control": In(files_control(geometry)),
                "flags": Out(geometry.rows_per_window),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        files = [ActivationFile(self.geometry) for _ in range(2)]
        # The number of the file that is the source.
        source = Signal()
        with m.If(self.control.swap):
            m.d.sync += source.eq(~source)

        # Only one of `load` and `destination` writes at a time: both files share its row and its data.
        load, destination = self.load, self.destination

        def written(by_load: Any, by_destination: Any) -> Any:
            return Mux(load.en, by_load, by_destination)

        for index, file in enumerate(files):
            m.submodules[f"file_{index}"] = file
            is_source = source == index
            m.d.comb += [
                file.clear.eq(Mux(is_source, self.control.swap, self.control.clear)),
                file.window.eq(self.control.window),
                file.read.en.eq(Mux(is_source, self.fetch.en, destination.read.en)),
                file.read.addr.eq(Mux(is_source, self.fetch.addr, destination.read.addr)),
                file.write.en.eq(Mux(is_source, load.en, destination.write.en)),
                file.write.addr.eq(written(load.addr, destination.write.addr)),
                file.write.data.eq(written(load.data, destination.write.data)),
                file.flag.en.eq(Mux(is_source, load.en, destination.flag.en)),
                file.flag.addr.eq(written(load.addr, destination.flag.addr)),
                file.flag.data.eq(written(load.data.any(), destination.flag.data)),
            ]

        def chosen(role: Any) -> Any:
            """The data of the file for which `role` is true and the row is known: with everything but the data decided
            beforehand, one look-up table for each bit stands behind the memories."""
            width = self.geometry.accumulator_bits
            first, second = (
                file.read.data & (file.known & role(source == index)).replicate(width).as_signed()
                for index, file in enumerate(files)
            )
            return first | second

        m.d.comb += [
            self.flags.eq(Mux(source, files[1].flags, files[0].flags)),
            self.fetch.data.eq(chosen(lambda is_source: is_source)),
            destination.read.data.eq(chosen(lambda is_source: ~is_source & ~destination.hide)),
        ]
        return m
