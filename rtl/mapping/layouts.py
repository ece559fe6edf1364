"""Layouts of the words that pass between the parts of the mapping unit, and over its ports."""

from __future__ import annotations

from typing import Any

from amaranth.hdl import unsigned
from amaranth.lib import data, enum

from zeroskip.model.bits import bits_for
from zeroskip.model.mapping.geometry import MapperGeometry


def entry_layout(geometry: MapperGeometry) -> data.StructLayout:
    """A key on its way through the unit. Entries are compared as whole numbers, so the fields stand in the order of
    their weight: what is absent comes last, then the key decides, then the source (an input comes before an output of
    the same key), then the index.

        +--------+-------+--------+-------+
        | absent |  key  | source | index |
        +--------+-------+--------+-------+
    """
    return data.StructLayout({"index": geometry.index_bits, "source": 1, "key": geometry.key_bits, "absent": 1})


def block_layout(geometry: MapperGeometry) -> data.StructLayout:
    """`width` sorted entries. `begins` marks the first block of a list. `last` ends a run of blocks, and `final` with
    it the last run of a pass."""
    entries = data.ArrayLayout(entry_layout(geometry), geometry.width)
    return data.StructLayout({"entries": entries, "begins": 1, "last": 1, "final": 1})


def lane_layout(geometry: MapperGeometry) -> data.StructLayout:
    """An entry in a lane of the merger, with the ends of its block."""
    return data.StructLayout({"entry": entry_layout(geometry), "last": 1, "final": 1})


def stored_layout(geometry: MapperGeometry) -> data.StructLayout:
    """A key in the memory."""
    return data.StructLayout({"index": geometry.index_bits, "key": geometry.key_bits})


def word_layout(geometry: MapperGeometry) -> data.ArrayLayout:
    """A word of the memory: `width` keys, the first in the lowest bits."""
    return data.ArrayLayout(stored_layout(geometry), geometry.width)


def run_layout(geometry: MapperGeometry) -> data.StructLayout:
    """Words `first` to `end` - 1 of a list of `count` keys that begins at word `base`.

    Keys lose the bits that are not `kept`, then `shift` is added; `source` marks outputs. Places beyond the list are
    absent: a run is never empty. `final` ends the pass. Of a `single` run only the word `first` is read: such runs are
    parts of lists that are read in turn.
    """
    # A run may begin behind the list, by less than the list is long.
    word = bits_for(2 * geometry.words + 1)
    return data.StructLayout(
        {
            "base": geometry.address_bits,
            "count": bits_for(geometry.keys + 1),
            "first": word,
            "end": word,
            "kept": geometry.key_bits,
            "shift": geometry.key_bits,
            "source": 1,
            "single": 1,
            "final": 1,
        }
    )


def lanes_layout(shape: Any, lanes: int) -> data.StructLayout:
    """What a packer takes in a cycle: any of `lanes` values; `final` comes with the last of a pass."""
    return data.StructLayout({"values": data.ArrayLayout(shape, lanes), "valid": lanes, "final": 1})


def packed_layout(shape: Any, lanes: int) -> data.StructLayout:
    """What a packer gives: the first `count` of `lanes` values, all of them but at the end of a pass."""
    return data.StructLayout({"values": data.ArrayLayout(shape, lanes), "count": bits_for(lanes + 1)})


def triple_layout(geometry: MapperGeometry) -> data.StructLayout:
    """An entry of a kernel map: the number of the offset, and the indices of an input and of an output."""
    return data.StructLayout(
        {"offset": bits_for(geometry.offsets), "input": geometry.index_bits, "output": geometry.index_bits}
    )


def triples_layout(geometry: MapperGeometry) -> data.StructLayout:
    """Up to `pairs` triples (packed_layout)."""
    return packed_layout(triple_layout(geometry), geometry.pairs)


def job_layout(geometry: MapperGeometry) -> data.StructLayout:
    """A job of the unit.

    A map (`sort` is 0): list a, the outputs, has `a_count` keys from word `a_base` on, list b, the inputs, `b_count`
    from `b_base`; they may be one list. Both are sorted and hold no key twice. `offsets` (at least 1) shifts of the
    table are used.

    A sort (`sort` is 1): list a loses the bits of its keys that are not `kept`, and is sorted, by key, then by index.
    `unique` keeps the first of equal keys, `renumber` gives the sorted keys the indices 0, 1, 2, ... The result begins
    at word `target`; as many words from `spare` on are overwritten. `target` may be `a_base`.

    A ranking (`rank` is 1): the shifts of the table are minus the keys of `offsets` queries. For each query, the
    `nearest` points of list a (1 to `width`) of its batch whose squared distance is at most `limit` are stored from
    word `target` on, the distance in place of the key, from the nearest on; a distance of all ones stands for none. In
    each coordinate, points and queries are less than 2 ** (coordinate_bits - 1) apart.

    Farthest-point sampling (`rank` and `farthest` are 1, `nearest` is 1, `limit` all ones): the indices of list a are
    the places of the points, and shift 0 is minus the key of the first sample. `offsets` more samples are found, each
    the farthest from all before; word `target` + i gets sample i + 1 in its first place. List b, as long as list a,
    holds distances, and is overwritten.
    """
    words, keys = geometry.address_bits, bits_for(geometry.keys + 1)
    return data.StructLayout(
        {
            "sort": 1,
            "rank": 1,
            "farthest": 1,
            "a_base": words,
            "a_count": keys,
            "b_base": words,
            "b_count": keys,
            "offsets": bits_for(geometry.offsets + 1),
            "kept": geometry.key_bits,
            "unique": 1,
            "renumber": 1,
            "target": words,
            "spare": words,
            "nearest": bits_for(geometry.width + 1),
            "limit": geometry.key_bits,
        }
    )


class MapperTarget(enum.Enum, shape=unsigned(1)):  # type: ignore[call-arg]
    """The memory that a transfer over the load port of a Mapper writes."""

    KEYS = 0
    """Word `address` of the memory: `word_layout`."""
    SHIFTS = 1
    """What offset `address` adds to a key, modulo 2 ** key_bits."""


def load_layout(geometry: MapperGeometry) -> data.StructLayout:
    """A transfer of the load port: `data` goes to `address` of the memory `target` (see MapperTarget)."""
    return data.StructLayout(
        {
            "target": MapperTarget,
            "address": bits_for(max(geometry.words, geometry.offsets)),
            "data": word_layout(geometry).size,
        }
    )
