"""The jobs of the mapping unit as writes to the registers and windows of a register map."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bus.window_words import window_words
from zeroskip.cosim.mapping.program import listed_keys, map_job, move_bits, sort_job, word_bits
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList
from zeroskip.model.mapping.layer import LayerPlan, Sort
from zeroskip.rtl.bus.mapping_map import WIDE, JobKind
from zeroskip.rtl.bus.register_map import REGISTER_BITS, REGISTER_BYTES, RegisterMap
from zeroskip.rtl.bus.triples import NUMBERS
from zeroskip.rtl.mapping.layouts import stored_layout, word_layout

Write = tuple[int, bytes]
"""An address, and what is written from it on."""


def sort_writes(described: RegisterMap, sort: Sort, geometry: MapperGeometry) -> Iterator[Write]:
    """The list that a sort takes, if it is not in the memory yet, and its job; START is not written."""
    if sort.load and len(sort.source):
        window = described.window("KEYS")
        yield window.base + sort.base * window.word_bytes, window_words(window, word_bits(sort.source, geometry))
    yield from job_writes(described, JobKind.SORT, sort_job(sort))


def map_writes(described: RegisterMap, plan: LayerPlan, part: range) -> Iterator[Write]:
    """The shifts of some offsets of a layer, and the job that finds their map; START is not written."""
    window = described.window("SHIFTS")
    yield window.base, window_words(window, move_bits(plan.moves[part.start : part.stop], plan.geometry))
    yield from job_writes(described, JobKind.MAP, map_job(plan, part))


def job_writes(described: RegisterMap, kind: JobKind, fields: Mapping[str, int]) -> Iterator[Write]:
    """The registers of a job (zeroskip.rtl.mapping.layouts.job_layout) of this kind."""
    first = described.register("KIND")
    flags = {field.name.lower(): field.low for field in first.fields}
    values = {"KIND": kind.value}
    for name, value in fields.items():
        if name in flags:
            values["KIND"] |= int(value) << flags[name]
        elif name.upper() in WIDE:
            values[f"{name.upper()}_LOW"] = value & ((1 << REGISTER_BITS) - 1)
            values[f"{name.upper()}_HIGH"] = value >> REGISTER_BITS
        elif name not in ("sort", "rank", "farthest"):
            values[name.upper()] = value
    for register, value in values.items():
        yield described.register(register).address, int(value).to_bytes(REGISTER_BYTES, "little")


def words_of(described: RegisterMap, base: int, count: int) -> tuple[int, int]:
    """The address of words `base` to `base` + `count` - 1 of FOUND, and their bytes."""
    window = described.window("FOUND")
    return window.base + base * window.word_bytes, count * window.word_bytes


def found_keys(described: RegisterMap, data: bytes, count: int, geometry: MapperGeometry) -> KeyList:
    """The first `count` keys of words that were read."""
    words = np.frombuffer(data, np.uint8).reshape(-1, described.window("FOUND").word_bytes)
    bits = np.unpackbits(words, axis=1, bitorder="little")[:, : word_layout(geometry).size]
    return listed_keys(bits.reshape(-1, stored_layout(geometry).size)[:count], geometry)


def packet(triples: NDArray[np.int64]) -> bytes:
    """The bytes of the packet of triples (triples x 3)."""
    numbers = np.zeros((len(triples), NUMBERS), "<u4")
    numbers[:, :3] = triples
    return numbers.tobytes()


def triples_of(plan: LayerPlan, part: range) -> NDArray[np.int64]:
    """The triples (triples x 3) that the golden model expects of the job of some offsets, which it counts from 0 on."""
    inside = (plan.triples[:, 0] >= part.start) & (plan.triples[:, 0] < part.stop)
    return plan.triples[inside] - np.array([part.start, 0, 0])
