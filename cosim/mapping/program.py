"""Programs of the mapping unit's player (mapper_player.v), and the lists, triples and neighbours in its record."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bits import Words, from_hexadecimal, to_bits
from zeroskip.model.mapping.farthest import FarthestPlan
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList
from zeroskip.model.mapping.layer import LayerPlan, Sort
from zeroskip.model.mapping.nearest import NearestPlan
from zeroskip.model.mapping.ranking import NONE
from zeroskip.rtl.mapping.layouts import (
    MapperTarget,
    job_layout,
    load_layout,
    stored_layout,
    triple_layout,
    word_layout,
)


def layer_program(plan: LayerPlan, limits: Sequence[int]) -> Iterator[bytes]:
    """The program that loads the points of a layer, sorts them, reads the sorted lists, and finds the map. A job that
    takes more cycles than its limit ends the program."""
    geometry = plan.geometry
    for sort, limit in zip(plan.sorts, limits, strict=False):
        if sort.load and len(sort.source):
            yield _load(geometry, MapperTarget.KEYS, sort.base, word_bits(sort.source, geometry))
        yield _start(geometry, sort_job(sort), limit)
        if len(sort.found):
            yield struct.pack(">cII", b"R", geometry.blocks(len(sort.found)), sort.target)
    for part, limit in zip(plan.maps, limits[len(plan.sorts) :], strict=True):
        yield _load_moves(geometry, plan.moves[part.start : part.stop])
        yield _start(geometry, map_job(plan, part), limit)


def nearest_program(plan: NearestPlan, limits: Sequence[int]) -> Iterator[bytes]:
    """The program that loads points, and ranks them for the queries of each job. A job that takes more cycles than its
    limit ends the program."""
    geometry = plan.geometry
    if len(plan.points):
        yield _load(geometry, MapperTarget.KEYS, 0, word_bits(plan.points, geometry))
    for job, limit in zip(plan.jobs, limits, strict=True):
        yield _load_moves(geometry, plan.moves[job.start : job.stop])
        yield _start(geometry, {"rank": 1, **nearest_job(plan, job)}, limit)
        yield struct.pack(">cII", b"R", result_words(plan, job), plan.target)


def farthest_program(plan: FarthestPlan, limit: int) -> Iterator[bytes]:
    """The program that loads points, finds samples, and reads them. A job that takes more cycles than its limit ends
    the program."""
    geometry, samples = plan.geometry, len(plan.samples) - 1
    yield _load(geometry, MapperTarget.KEYS, 0, word_bits(plan.points, geometry))
    yield _load_moves(geometry, np.array([plan.move]))
    kind = {"rank": 1, "farthest": 1, "nearest": 1, "limit": (1 << geometry.key_bits) - 1}
    yield _start(geometry, {**kind, **farthest_job(plan)}, limit)
    yield struct.pack(">cII", b"R", samples, plan.target)


def read_samples(words: list[bytes], geometry: MapperGeometry) -> NDArray[np.int64]:
    """The samples (int64) of a job, from the words that were read: each in the first place of its word."""
    return read_list(words, len(words) * geometry.width, geometry).indices[:: geometry.width]


def result_words(plan: NearestPlan, job: range) -> int:
    """Words of the memory that the results of a job take."""
    return -(-len(job) * plan.count // plan.geometry.width)


def read_neighbours(words: list[bytes], plan: NearestPlan, job: range) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Indices and squared distances (both queries x count) of a job, from the words that were read."""
    found = read_list(words, len(job) * plan.count, plan.geometry)
    none = found.keys == (1 << plan.geometry.key_bits) - 1
    indices, squared = (np.where(none, NONE, values).reshape(-1, plan.count) for values in (found.indices, found.keys))
    return indices, squared


def _load_moves(geometry: MapperGeometry, moves: NDArray[np.int64]) -> bytes:
    return _load(geometry, MapperTarget.SHIFTS, 0, move_bits(moves, geometry))


def move_bits(moves: NDArray[np.int64], geometry: MapperGeometry) -> NDArray[np.uint8]:
    """Shifts as words of the table (offsets x bits)."""
    return to_bits(moves[:, None] & ((1 << geometry.key_bits) - 1), geometry.key_bits)


def transfers(plan: LayerPlan) -> int:
    """Transfers around the jobs: words of the lists and the shifts that are loaded, and of the sorted lists that are
    read."""
    width = plan.geometry.width
    loaded = sum(-(-len(sort.source) // width) for sort in plan.sorts if sort.load)
    return loaded + len(plan.moves) + sum(-(-len(sort.found) // width) for sort in plan.sorts)


def sort_job(sort: Sort) -> dict[str, int]:
    """The fields of the job that sorts a list (zeroskip.rtl.mapping.layouts.job_layout)."""
    return {
        "sort": 1,
        "a_base": sort.base,
        "a_count": len(sort.source),
        "kept": sort.kept,
        "unique": sort.unique,
        "renumber": sort.unique,
        "target": sort.target,
        "spare": sort.spare,
    }


def map_job(plan: LayerPlan, part: range) -> dict[str, int]:
    """The fields of the job that finds the map of some offsets, whose shifts are the first of the table."""
    return {
        "a_base": plan.outputs.target,
        "a_count": len(plan.outputs.found),
        "b_base": plan.inputs.target,
        "b_count": len(plan.inputs.found),
        "offsets": len(part),
    }


def nearest_job(plan: NearestPlan, job: range) -> dict[str, int]:
    """The fields of the job that ranks the points for some queries, but for what says that it ranks."""
    return {
        "a_base": 0,
        "a_count": len(plan.points),
        "offsets": len(job),
        "target": plan.target,
        "nearest": plan.count,
        "limit": plan.limit,
    }


def farthest_job(plan: FarthestPlan) -> dict[str, int]:
    """The fields of the job that finds samples, but for what says that it does."""
    return {
        "a_base": 0,
        "a_count": len(plan.points),
        "b_base": plan.distances,
        "b_count": len(plan.points),
        "offsets": len(plan.samples) - 1,
        "target": plan.target,
    }


def _start(geometry: MapperGeometry, job: Mapping[str, int], limit: int) -> bytes:
    return struct.pack(">cII", b"S", 0, limit) + job_bytes(geometry, job)


def job_bytes(geometry: MapperGeometry, job: Mapping[str, int]) -> bytes:
    """A job as the start port takes it, most significant byte first."""
    word = Words(job_layout(geometry), 1)
    for field, value in job.items():
        word.number(field, value)
    return word.to_bytes()


def _load(geometry: MapperGeometry, target: Any, base: int, bits: NDArray[np.uint8]) -> bytes:
    """Transfers of words (words x bits), from address `base` on."""
    words = Words(load_layout(geometry), len(bits))
    words.number("target", target.value)
    words.number("address", base + np.arange(len(bits)))
    words.put("data", bits)
    return struct.pack(">cI", b"L", len(bits)) + words.to_bytes()


def word_bits(listed: KeyList, geometry: MapperGeometry) -> NDArray[np.uint8]:
    """A list as words of the memory (words x bits); the end of the last word is zero."""
    stored = stored_layout(geometry)
    bits = np.zeros((geometry.blocks(len(listed)) * geometry.width, stored.size), np.uint8)
    for field, values in (("key", listed.keys), ("index", listed.indices)):
        offset, width = stored[field].offset, stored[field].width
        bits[: len(listed), offset : offset + width] = to_bits(values[:, None], width)
    return bits.reshape(-1, word_layout(geometry).size)


def _numbers(bits: NDArray[np.uint8], layout: Any, field: str) -> NDArray[np.int64]:
    """A field of structs (structs x bits)."""
    offset, width = layout[field].offset, layout[field].width
    packed = np.packbits(bits[:, offset : offset + width], axis=1, bitorder="little")
    wide = np.zeros((len(bits), 8), np.uint8)
    wide[:, : packed.shape[1]] = packed
    return wide.view("<i8")[:, 0].astype(np.int64)


def read_list(words: list[bytes], count: int, geometry: MapperGeometry) -> KeyList:
    """The `count` keys of a sorted list, from the words that were read."""
    stored = stored_layout(geometry)
    if not words:
        return KeyList(keys=np.zeros(0, np.int64), indices=np.zeros(0, np.int64))
    return listed_keys(from_hexadecimal(words, word_layout(geometry).size).reshape(-1, stored.size)[:count], geometry)


def listed_keys(bits: NDArray[np.uint8], geometry: MapperGeometry) -> KeyList:
    """The keys of a list, from the bits of each (keys x bits of stored_layout)."""
    stored = stored_layout(geometry)
    return KeyList(keys=_numbers(bits, stored, "key"), indices=_numbers(bits, stored, "index"))


def read_triples(counts: NDArray[np.int64], words: list[bytes], geometry: MapperGeometry) -> NDArray[np.int64]:
    """The triples (offset, input, output), from words of which each holds so many."""
    layout = triple_layout(geometry)
    if not words:
        return np.zeros((0, 3), np.int64)
    bits = from_hexadecimal(words, layout.size * geometry.pairs).reshape(len(words), geometry.pairs, layout.size)
    return listed_triples(bits[np.arange(geometry.pairs) < counts[:, None]], geometry)


def listed_triples(bits: NDArray[np.uint8], geometry: MapperGeometry) -> NDArray[np.int64]:
    """Triples (offset, input, output), from the bits of each (triples x bits of triple_layout)."""
    layout = triple_layout(geometry)
    return np.stack([_numbers(bits, layout, field) for field in ("offset", "input", "output")], axis=1)
