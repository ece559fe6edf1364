"""Activation read/write unit of a processing element."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.ports import accumulators_port, files_control
from zeroskip.rtl.ports import read_port, write_port
from zeroskip.rtl.sram import Sram

WORD_BITS = 5
WORD = 1 << WORD_BITS
"""The flags of the rows are set in words of this many bits."""


class ActivationFile(wiring.Component):
    """A file of accumulators that is emptied in one cycle.

    Each row has two flags: `written` (a row without it reads as zero) and `nonzero`.

    Latency: `access.read.data` follows `access.read` by one cycle. Throughput: one read, one write and one flag a
    cycle. A row that is read in the cycle in which it is written is undefined.

    Parameters
    ----------
    geometry : EieGeometry

    Ports
    -----
    access : accumulators_port, in
        Reads, writes and flags a row.
    clear : 1, in
        Empties the file; writes and flags of the same cycle are lost too.
    nonzero : activation_rows, out
        The flags of all rows.
    """

    def __init__(self, geometry: EieGeometry) -> None:
        self.geometry = geometry
        super().__init__(
            {
                "access": In(accumulators_port(geometry)),
                "clear": In(1),
                "nonzero": Out(geometry.activation_rows),
            }
        )

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        rows = self.geometry.activation_rows
        read, write, flag = self.access.read, self.access.write, self.access.flag

        def only(row: Value) -> Value:
            """`rows` bits, of which that of `row` is set. Made of short words: a shift to `rows` bits would be twice as
            wide before it is cut, and simulators would compute all of it in every cycle."""
            low = (Const(1, WORD) << row[:WORD_BITS])[:WORD]
            words = [Mux(row[WORD_BITS:] == word, low, 0) for word in range(-(-rows // WORD))]
            return Cat(words)[:rows]

        m.submodules.sums = sums = Sram(depth=rows, width=self.geometry.accumulator_bits)
        wiring.connect(m, sums.write, wiring.flipped(write))
        written = Signal(rows)
        # Whether the row at the memory's output has been written.
        known = Signal()
        m.d.comb += [
            sums.read.en.eq(read.en),
            sums.read.addr.eq(read.addr),
            read.data.eq(Mux(known, sums.read.data, 0)),
        ]
        with m.If(read.en):
            m.d.sync += known.eq(written.bit_select(read.addr, 1))
        with m.If(write.en):
            m.d.sync += written.eq(written | only(write.addr))

        with m.If(flag.en):
            m.d.sync += self.nonzero.eq(Mux(flag.data, self.nonzero | only(flag.addr), self.nonzero & ~only(flag.addr)))
        with m.If(self.clear):
            m.d.sync += [written.eq(0), self.nonzero.eq(0)]
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
        Writes a row of the source, and flags it.
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

        for index, file in enumerate(files):
            m.submodules[f"file_{index}"] = file
            is_source = source == index
            m.d.comb += file.clear.eq(Mux(is_source, self.control.swap, self.control.clear))
            self._choose(m, is_source, file)

        def of_source(first: Any, second: Any) -> Any:
            return Mux(source, second, first)

        windows = [file.nonzero.word_select(self.control.window, self.geometry.rows_per_window) for file in files]
        sums = [file.access.read.data for file in files]
        m.d.comb += [
            self.flags.eq(of_source(*windows)),
            self.fetch.data.eq(of_source(*sums)),
            self.destination.read.data.eq(of_source(*reversed(sums))),
        ]
        return m

    def _choose(self, m: Module, is_source: Any, file: ActivationFile) -> None:
        """`fetch` and `load` reach the source, `destination` the other file."""
        read, write, flag = file.access.read, file.access.write, file.access.flag
        destination = self.destination
        for chosen, as_source, as_destination in (
            (read.en, self.fetch.en, destination.read.en),
            (read.addr, self.fetch.addr, destination.read.addr),
            (write.en, self.load.en, destination.write.en),
            (write.addr, self.load.addr, destination.write.addr),
            (write.data, self.load.data, destination.write.data),
            (flag.en, self.load.en, destination.flag.en),
            (flag.addr, self.load.addr, destination.flag.addr),
            (flag.data, self.load.data != 0, destination.flag.data),
        ):
            m.d.comb += chosen.eq(Mux(is_source, as_source, as_destination))
