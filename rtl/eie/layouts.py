"""Layouts of the words that pass between the blocks of the EIE array and over its ports."""

from __future__ import annotations

from amaranth.hdl import signed, unsigned
from amaranth.lib import data, enum

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry


class LoadTarget(enum.Enum, shape=unsigned(3)):  # type: ignore[call-arg]
    """The memory that a transfer over the load port writes."""

    ENTRIES = 0
    """Word `address` of the sparse-matrix memory of `pe`; data is the word."""
    POINTERS = 1
    """Column pointer `address` of `pe`; data is the pointer."""
    CODEBOOKS = 2
    """Value `address` = codebook number * codebook size + code, of the array's codebooks; data is the value."""
    LAYERS = 3
    """Row `address` of the layer table; data is a `layer_layout`."""
    ACTIVATIONS = 4
    """Inputs `address` and up, one of each lane; `address` is a multiple of the lanes. An input that is not loaded
    again holds a sum of the last run."""


def layer_layout(geometry: EieGeometry) -> data.StructLayout:
    """A row of the layer table.

    `outputs` is the number of results, for readers of the table; the array does not need it. `bias_one` is the
    activation of the bias column, which follows the last input if `bias` is set. A run ends with a layer marked `last`.
    """
    return data.StructLayout(
        {
            "inputs": bits_for(geometry.activations + 1),
            "outputs": bits_for(geometry.activations + 1),
            "pointer_base": bits_for(geometry.pointers),
            "codebook": bits_for(geometry.layers),
            "out_shift": bits_for(geometry.max_shift + 1),
            "relu": 1,
            "bias": 1,
            "bias_one": VALUE_BITS,
            "last": 1,
        }
    )


def load_data_bits(geometry: EieGeometry) -> int:
    """Width of the widest word that any of the memories holds."""
    lanes = geometry.activation_lanes * VALUE_BITS
    return max(geometry.word_bits, geometry.pointer_bits, lanes, int(layer_layout(geometry).size))


def load_layout(geometry: EieGeometry) -> data.StructLayout:
    """A transfer of the load port: `data` goes to `address` of the memory `target` (see LoadTarget)."""
    most = max(
        geometry.entry_words,
        geometry.pointers,
        geometry.layers * geometry.codebook_size,
        geometry.activations,
    )
    return data.StructLayout(
        {
            "target": LoadTarget,
            "pe": bits_for(geometry.pes),
            "address": bits_for(most),
            "data": load_data_bits(geometry),
        }
    )


def found_layout(geometry: EieGeometry) -> data.StructLayout:
    """Column `index` is to be broadcast; the `bias` column has no activation to fetch."""
    return data.StructLayout({"index": bits_for(geometry.activations + 1), "bias": 1})


def broadcast_layout(geometry: EieGeometry) -> data.StructLayout:
    """A non-zero activation for every PE: its value and the address of its column pointer."""
    return data.StructLayout({"value": signed(VALUE_BITS), "pointer": bits_for(geometry.pointers)})


def column_layout(geometry: EieGeometry) -> data.StructLayout:
    """A column of one PE that holds at least one entry: entries `begin` to `last`, both included, and the
    activation."""
    entry = bits_for(geometry.entries)
    return data.StructLayout({"value": signed(VALUE_BITS), "begin": entry, "last": entry})


def word_layout(geometry: EieGeometry) -> data.StructLayout:
    """A word of the sparse-matrix memory. Entries that do not belong to the column are zero; those that are weights are
    marked in `weights`. `first` marks the column's first word, and `low` is then its first entry in the word."""
    return data.StructLayout(
        {
            "value": signed(VALUE_BITS),
            "first": 1,
            "low": bits_for(geometry.entries_per_word),
            "weights": geometry.entries_per_word,
            "entries": data.ArrayLayout(entry_layout(geometry), geometry.entries_per_word),
        }
    )


def entry_layout(geometry: EieGeometry) -> data.StructLayout:
    """An entry of a memory word (zeroskip.model.eie.format)."""
    return data.StructLayout({"skip": geometry.index_bits, "code": geometry.code_bits})


def update_layout(geometry: EieGeometry) -> data.StructLayout:
    """One multiply-accumulate: `row` of the destination += codebook[code] * value."""
    return data.StructLayout(
        {
            "value": signed(VALUE_BITS),
            "code": geometry.code_bits,
            "row": bits_for(geometry.activation_rows),
        }
    )


class Activity(enum.Enum, shape=unsigned(2)):  # type: ignore[call-arg]
    """What a cycle of a PE's arithmetic was used for."""

    IDLE = 0
    """Nothing: no entry has arrived."""
    BUSY = 1
    """An entry of the matrix."""
    PADDING = 2
    """No entry: a word that held only padding of its column was passed over."""


def monitor_layout(geometry: EieGeometry) -> data.StructLayout:
    """What an observer sees of the array in each cycle; unconnected, it costs nothing.

    `blocked`: a broadcast waits because a queue is full. `draining`: every column of the layer has been broadcast.
    """
    return data.StructLayout(
        {
            "running": 1,
            "layer": bits_for(geometry.layers),
            "blocked": 1,
            "draining": 1,
            "activity": data.ArrayLayout(Activity, geometry.pes),
            "level": data.ArrayLayout(bits_for(geometry.queue_places + 1), geometry.pes),
        }
    )
