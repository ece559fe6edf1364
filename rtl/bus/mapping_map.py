"""The register map of the mapping unit."""

from __future__ import annotations

import enum

from zeroskip.model.bits import bits_for
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.bus.map_parts import MEANING, REFUSALS, Registers, Windows, constant, pulse, setting, status
from zeroskip.rtl.bus.register_map import REGISTER_BITS, Field, Kind, RegisterMap
from zeroskip.rtl.mapping.layouts import word_layout

CORE = 3
"""The mapping unit among the cores."""

VERSION = 1
"""Of the register map: software that knows another one must not go on."""


class JobKind(enum.IntEnum):
    """What a job does (zeroskip.rtl.mapping.layouts.job_layout)."""

    MAP = 0
    SORT = 1
    RANK = 2
    FARTHEST = 3


EVENTS = {
    "DONE": "A job has ended.",
    **REFUSALS,
    "DISORDERED": "A map has ended of which a list was not sorted, or held a key twice: its triples are wrong.",
}
"""The events, from bit 0 on, and what they mean. All but DONE are errors."""

COUNTERS = {
    "JOBS": "Jobs that have ended.",
    "BUSY_CYCLES": "Cycles of all jobs.",
    "TRIPLES": "Triples of all maps.",
    "WAITING_CYCLES": "Cycles in which triples wait to be taken.",
}
"""The performance counters, and what they count."""

WIDE = {
    "KEPT": "The bits of its keys that a sort keeps.",
    "LIMIT": "The largest squared distance of a ranking.",
}
"""What has as many bits as a key, in two registers each: NAME_LOW and NAME_HIGH."""


def mapper_map(geometry: MapperGeometry) -> RegisterMap:
    """The registers and windows of a unit of `geometry`."""
    registers = Registers(CORE, "Which core of zeroskip: 3 is the mapping unit.", version=VERSION)
    add = registers.add
    add(
        "UNIT",
        "What the unit is.",
        constant("WIDTH", 0, 8, geometry.width, "Keys of a word."),
        constant("DIMS", 8, 8, geometry.dims, "Coordinates of a point."),
        constant("COORDINATE_BITS", 16, 8, geometry.coordinate_bits, "Bits of a coordinate in a key."),
        constant("BATCH_BITS", 24, 8, geometry.batch_bits, "Bits of the batch number in a key."),
    )
    add("WORDS", "How large the memory is.", constant("WORDS", 0, 32, geometry.words, "Words of KEYS."))
    add(
        "TABLE",
        "Other sizes.",
        constant("SHIFTS", 0, 16, geometry.offsets, "Words of SHIFTS."),
        constant("INDEX_BITS", 16, 8, geometry.index_bits, "Bits of the index of a key."),
        constant("TRIPLES", 24, 8, geometry.pairs, "Triples of a beat of the stream."),
    )
    add("START", "Starts a job.", pulse("START", 0, "Begins with the registers from KIND on."), guarded=True)
    add(
        "STATUS",
        "What the unit does.",
        status("RUNNING", 0, 1, "A job is under way, or triples wait to be taken: the core is in use."),
        status("DISORDERED", 1, 1, "A list of the last map was not sorted, or held a key twice."),
    )
    registers.add_events(EVENTS)
    _add_job(registers, geometry)
    add("CYCLES", "Of the last job.", status("CYCLES", 0, 32, "Cycles from its start to its end."))
    stored = status("SORTED", 0, bits_for(geometry.keys + 1), "Keys that it stored.")
    add("SORTED", "Of the last sort or ranking.", stored)
    registers.add_counters(COUNTERS)

    windows = Windows()
    windows.add(
        "SHIFTS",
        "What each offset adds to a key, modulo 2**key bits; of a ranking, minus the keys of the queries.",
        entries=geometry.offsets,
        bits=geometry.key_bits,
    )
    word = int(word_layout(geometry).size)
    keys = "WIDTH keys, the first in the lowest bits; of each, the index in the lowest bits, and the key above."
    windows.add("KEYS", f"The memory: a word is {keys}", entries=geometry.words, bits=word)
    windows.add("FOUND", "The same memory, to be read.", entries=geometry.words, bits=word, written=False)
    return RegisterMap(
        name="zeroskip_mapping",
        title="Mapping unit of zeroskip",
        meaning=MEANING,
        registers=tuple(registers.found),
        windows=tuple(windows.found),
    )


def _add_job(registers: Registers, geometry: MapperGeometry) -> None:
    """The registers of the next job."""
    address, count = geometry.address_bits, bits_for(geometry.keys + 1)
    last_word, every = geometry.words - 1, (1 << geometry.key_bits) - 1
    kinds = ", ".join(f"{kind.value} {kind.name}" for kind in JobKind)

    def add(*fields: Field, name: str = "") -> None:
        registers.add(name or fields[0].name, "Of the next job.", *fields, guarded=True)

    add(
        setting("KIND", 2, 0, 0, len(JobKind) - 1, f"What it does: {kinds}."),
        _flag("UNIQUE", 8, "A sort keeps the first of equal keys."),
        _flag("RENUMBER", 9, "A sort gives the sorted keys the indices 0, 1, 2, and so on."),
    )
    for name, what in (("A", "list a: the outputs of a map, or what is sorted or ranked"), ("B", "list b: the inputs")):
        add(setting(f"{name}_BASE", address, 0, 0, last_word, f"The first word of {what}."))
        add(setting(f"{name}_COUNT", count, 0, 0, geometry.keys, f"Keys of {what}."))
    most = geometry.offsets
    add(setting("OFFSETS", bits_for(most + 1), 1, 1, most, "Offsets of a map, queries of a ranking, or more samples."))
    add(setting("TARGET", address, 0, 0, last_word, "The first word of the result."))
    add(setting("SPARE", address, 0, 0, last_word, "The first of as many words that a sort overwrites."))
    add(setting("NEAREST", bits_for(geometry.width + 1), 1, 1, geometry.width, "Points that a ranking stores."))
    for name, meaning in WIDE.items():
        for half, low in (("LOW", 0), ("HIGH", REGISTER_BITS)):
            # A key may end in the lower half; then the upper one is zero.
            largest = every >> low & ((1 << REGISTER_BITS) - 1)
            width = max(1, largest.bit_length())
            add(setting(f"{name}_{half}", width, largest, 0, largest, f"{meaning} Bits {low} and up."))


def _flag(name: str, low: int, meaning: str) -> Field:
    return Field(name=name, low=low, width=1, kind=Kind.SETTING, meaning=meaning)
