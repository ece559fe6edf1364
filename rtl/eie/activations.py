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
    """A file of accumulators, each with a flag: whether its activation is non-zero.

    Latency: `read.data` and `nonzero` follow `read` by one cycle, `flags` follows `window` in the same.
    Throughput: one read, one write and one flag a cycle. A row that is read in the cycle in which it is written is
    undefined.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    read : read_port(activation_rows, signed(accumulator_bits)), in
        Reads the accumulator of a row; undefined if it was never written.
    nonzero : 1, out
        The flag of the row of `read.data`.
    write : write_port(activation_rows, signed(accumulator_bits)), in
        Writes the accumulator of a row.
    flag : write_port(activation_rows, 1), in
        Writes the flag of a row.
    clear : 1, in
        Empties all flags; one that is written in the same cycle is lost too.
    window : bits_for(activation_rows // rows_per_window), in
        A window of rows.
    flags : rows_per_window, out
        The flags of the window's rows.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        rows, accumulator = geometry.activation_rows, signed(geometry.accumulator_bits)
        super().__init__(
            {
                "read": In(read_port(rows, accumulator)),
                "nonzero": Out(1),
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
        m.submodules.sums = sums = Sram(
            depth=geometry.activation_rows, width=geometry.accumulator_bits, amid_logic=True
        )
        group = max(_flags_in_a_word(geometry), geometry.rows_per_window)
        m.submodules.nonzero = nonzero = RowFlags(geometry.activation_rows, group)
        wiring.connect(m, sums.write, wiring.flipped(self.write))
        wiring.connect(m, sums.read, wiring.flipped(self.read))
        wiring.connect(m, nonzero.write, wiring.flipped(self.flag))

        windows = group // geometry.rows_per_window
        m.d.comb += [
            nonzero.row.eq(self.read.addr),
            nonzero.index.eq(self.window >> (windows.bit_length() - 1)),
            self.flags.eq(nonzero.o.word_select(self.window % windows, geometry.rows_per_window)),
            nonzero.clear.eq(self.clear),
        ]
        with m.If(self.read.en):
            m.d.sync += self.nonzero.eq(nonzero.flag)
        return m


def _flags_in_a_word(geometry: EieGeometry) -> int:
    """About as many words as flags in each: neither many marks nor wide words."""
    return power_of_two_at_least(math.isqrt(geometry.activation_rows))


class ActivationFiles(wiring.Component):
    """Two files of accumulators, source and destination, that exchange their roles at the end of a layer (EIE section
    IV, activation read/write).

    The files hold accumulators, not activations: the next layer rounds them when it reads its source, so that
    no pass over the outputs is needed at the end of a layer. The next layer searches the `nonzero` flags for its
    activations.

    Both are empty at the beginning of a layer without a pass over them: a row of the destination is zero until it is
    marked as written, and a row of the source unless it is flagged.

    Latency: a row is read in the cycle after its request. `read.data` and `fetch.data` show it in the cycle after that,
    and keep it until the next read; `flags` follows `control.window` in the same cycle. A row that is read in the cycle
    in which it is written is undefined. Throughput: one access a cycle through each port.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    read : read_port(activation_rows, signed(accumulator_bits)), in
        Requests a row of the destination.
    destination : accumulators_port, in
        The arithmetic unit's access to the destination.
    fetch : read_port(activation_rows, signed(accumulator_bits)), in
        Requests a row of the source; zero where it is not flagged, since its activation is zero.
    load : write_port(activation_rows, signed(VALUE_BITS)), in
        Writes a row of the source, and flags it; not in a cycle in which `destination` writes or flags.
    load_nonzero : 1, in
        Whether `load.data` is not zero.
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
                "read": In(read_port(rows, signed(geometry.accumulator_bits))),
                "destination": In(accumulators_port(geometry)),
                "fetch": In(read_port(rows, signed(geometry.accumulator_bits))),
                "load": In(write_port(rows, signed(VALUE_BITS))),
                "load_nonzero": In(1),
                "control": In(files_control(geometry)),
                "flags": Out(geometry.rows_per_window),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        files = [ActivationFile(self.geometry) for _ in range(2)]
        m.submodules.written = written = RowFlags(self.geometry.activation_rows, _flags_in_a_word(self.geometry))
        # The number of the file that is the source.
        source = Signal()
        following_source = source ^ self.control.swap
        m.d.sync += source.eq(following_source)

        # Only one of `load` and `destination` writes at a time: both files share its row and its data.
        load, destination = self.load, self.destination

        def stored(by_load: Any, by_destination: Any) -> Any:
            return Mux(load.en, by_load, by_destination)

        for index, file in enumerate(files):
            m.submodules[f"file_{index}"] = file
            is_source = source == index
            # Which row each file reads stands in a register of its own: a memory of look-up tables has a pin for it at
            # every bit.
            will_fetch = following_source == index
            m.d.sync += [
                file.read.en.eq(Mux(will_fetch, self.fetch.en, self.read.en)),
                file.read.addr.eq(Mux(will_fetch, self.fetch.addr, self.read.addr)),
            ]
            m.d.comb += [
                file.clear.eq(Mux(is_source, self.control.swap, self.control.clear)),
                file.window.eq(self.control.window),
                file.write.en.eq(Mux(is_source, load.en, destination.write.en)),
                file.write.addr.eq(stored(load.addr, destination.write.addr)),
                file.write.data.eq(stored(load.data, destination.write.data)),
                file.flag.en.eq(Mux(is_source, load.en, destination.flag.en)),
                file.flag.addr.eq(stored(load.addr, destination.flag.addr)),
                file.flag.data.eq(stored(self.load_nonzero, destination.flag.data)),
            ]

        reads = Signal()
        known = Signal(reset_less=True)
        m.d.sync += [reads.eq(self.read.en), written.row.eq(self.read.addr)]
        m.d.comb += [
            written.write.en.eq(destination.write.en),
            written.write.addr.eq(destination.write.addr),
            written.write.data.eq(1),
            written.clear.eq(self.control.swap | self.control.clear),
        ]
        with m.If(reads):
            m.d.sync += known.eq(written.flag)

        def chosen(role: Any) -> Any:
            """The data of the file for which `role` is true: with everything but the data decided beforehand, one
            look-up table for each bit stands behind the memories."""
            width = self.geometry.accumulator_bits
            first, second = (
                file.read.data & role(source == index, file).replicate(width).as_signed()
                for index, file in enumerate(files)
            )
            return first | second

        m.d.comb += [
            self.flags.eq(Mux(source, files[1].flags, files[0].flags)),
            self.fetch.data.eq(chosen(lambda is_source, file: is_source & file.nonzero)),
            self.read.data.eq(chosen(lambda is_source, file: ~is_source & known & ~destination.hide)),
        ]
        return m
