"""Signatures of the ports that join the blocks of the EIE array, as seen by the side that drives them."""

from __future__ import annotations

from amaranth.hdl import signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import Out

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.rtl.eie.layouts import load_data_bits
from zeroskip.rtl.ports import write_port


def accumulators_port(geometry: EieGeometry) -> wiring.Signature:
    """Access to a file of accumulators.

    Members
    -------
    hide : 1, out
        The accumulator that was read is zero in this cycle.
    write : write_port(activation_rows, signed(accumulator_bits)), out
        Writes it.
    flag : write_port(activation_rows, 1), out
        Says whether the row's activation is non-zero.
    """
    rows, accumulator = geometry.activation_rows, signed(geometry.accumulator_bits)
    return wiring.Signature(
        {
            "hide": Out(1),
            "write": Out(write_port(rows, accumulator)),
            "flag": Out(write_port(rows, 1)),
        }
    )


def files_control(geometry: EieGeometry) -> wiring.Signature:
    """The control unit's signals to the activation files of all PEs.

    Members
    -------
    window : bits_for(activation_rows // rows_per_window), out
        The window of rows whose flags are wanted.
    clear : 1, out
        Empties the destination.
    swap : 1, out
        Exchanges source and destination, and empties the new destination.
    """
    windows = geometry.activation_rows // geometry.rows_per_window
    return wiring.Signature({"window": Out(bits_for(windows)), "clear": Out(1), "swap": Out(1)})


def rounding_control(geometry: EieGeometry) -> wiring.Signature:
    """The rounding that the next layer will apply; it decides whether a sum counts as zero.

    Members
    -------
    half : accumulator_bits - 1, out
        Half a unit of the layer's output, in units of the accumulator.
    relu : 1, out
        Negative outputs become zero.
    """
    return wiring.Signature({"half": Out(geometry.accumulator_bits - 1), "relu": Out(1)})


def codebook_port(geometry: EieGeometry) -> wiring.Signature:
    """The write port of all codebooks: value `code` of codebook `number` at address `number << code_bits | code`."""
    return write_port(1 << (bits_for(geometry.layers) + geometry.code_bits), VALUE_BITS)


CODEBOOK_GROUPS = 16
"""Cycles in which a codebook is sent to the PEs."""


def codebook_lanes(geometry: EieGeometry) -> int:
    """Values of a codebook that are sent in one cycle: so many that a codebook takes at most CODEBOOK_GROUPS cycles."""
    return max(1, geometry.codebook_size // CODEBOOK_GROUPS)


def codebook_values(geometry: EieGeometry) -> wiring.Signature:
    """Writes the values `addr * lanes` and up of the layer's codebook, one of each lane (see codebook_lanes)."""
    lanes = codebook_lanes(geometry)
    return write_port(geometry.codebook_size // lanes, data.ArrayLayout(VALUE_BITS, lanes))


def pe_load(geometry: EieGeometry) -> wiring.Signature:
    """Writes the memories of a PE over one bus.

    With a write port for each memory, a PE took 39 registers more on an ECP5 (901 instead of 862 at 1,024 words and
    pointers): Yosys keeps a copy of the word last written to a block RAM, and merges copies that are equal.

    Members
    -------
    entries : 1, out
        Writes `data` to word `addr` of the sparse matrices.
    pointers : 1, out
        Writes `data` to column pointer `addr`.
    activations : 1, out
        Writes `activation` to row `row` of the source file.
    addr : bits of the larger one of these two memories, out
        Word or pointer.
    data : load_data_bits, out
        Word or pointer.
    row : bits_for(activation_rows), out
        Row of a source file.
    activation : signed(VALUE_BITS), out
        Input of a network.
    nonzero : 1, out
        Whether that is not zero.
    """
    larger = max(geometry.entry_words, geometry.pointers)
    return wiring.Signature(
        {
            "entries": Out(1),
            "pointers": Out(1),
            "activations": Out(1),
            "addr": Out(bits_for(larger)),
            "data": Out(load_data_bits(geometry)),
            "row": Out(bits_for(geometry.activation_rows)),
            "activation": Out(signed(VALUE_BITS)),
            "nonzero": Out(1),
        }
    )
