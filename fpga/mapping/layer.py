"""Layers of sparse convolutions on a board with a mapping unit."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mapping.play import LayerAnswers, LayerComparison, LayerRun, joined_triples
from zeroskip.cosim.mapping.program import (
    job_bytes,
    listed_keys,
    listed_triples,
    map_job,
    move_bits,
    sort_job,
    word_bits,
)
from zeroskip.cosim.session import most_cycles
from zeroskip.fpga.host.host import BoardError, Host
from zeroskip.fpga.host.requests import Burst, Request, read_request, run_request
from zeroskip.fpga.identity import require_board
from zeroskip.fpga.mapping.geometry import LinkedMapperGeometry
from zeroskip.fpga.mapping.layouts import MapperSource, mapper_layout_digest, mapper_sizes, outcome_layout, read_layout
from zeroskip.model.mapping.golden import KeyList
from zeroskip.model.mapping.layer import LayerPlan, plan_layer
from zeroskip.model.mapping.layer_npz import LayerFile, fitted_geometry
from zeroskip.rtl.mapping.layouts import MapperTarget, stored_layout, triple_layout

MOST_AT_ONCE = 512
"""Results that one request asks for: little is repeated where the line damages an answer."""

SIMULATED_WORDS = 8192
"""Words of triples of a simulated board, as on the largest ULX3S; more where the triples of an offset need them."""


def board_geometry(name: str, facts: dict[str, Any]) -> LinkedMapperGeometry:
    """The geometry of the board `name`, which says `facts` of itself. Raises BoardError where it is no board with a
    mapping unit of this version."""
    told: Any = facts.get("geometry")
    try:
        # Of a board with another core, require_board tells that first.
        geometry = LinkedMapperGeometry(**(told if facts.get("core") == "mapping" else {}))
    except (TypeError, ValueError) as error:
        raise BoardError(f"geometry of {name} must be that of a mapping unit, not {told}: {error}") from error
    layout = mapper_layout_digest(geometry)
    require_board(name, facts, core="mapping", geometry=geometry, layout=layout, needed_for="the mapping unit")
    return geometry


def linked_geometry(layer: LayerFile, *, width: int) -> LinkedMapperGeometry:
    """A unit that merges `width` keys a cycle and holds the layer, for a simulated board (fitted_geometry). Raises
    ValueError for coordinates that fit no unit."""
    fitted = fitted_geometry(layer, width=width)
    triple_words = max(SIMULATED_WORDS, fitted.keys // fitted.pairs)
    return LinkedMapperGeometry(**dataclasses.asdict(fitted), triple_words=triple_words)


def run_layer(
    host: Host,
    inputs: NDArray[Any],
    offsets: NDArray[Any] | Sequence[Sequence[int]],
    *,
    outputs: NDArray[Any] | None = None,
    strides: Sequence[int] | None = None,
    on_jobs: Callable[[int, int], None] = lambda done, total: None,
) -> LayerRun:
    """Sorts the points of a layer and finds its map on a connected board, and compares all with the golden model and
    the cycle model (zeroskip.cosim.mapping.play.run_layer). The map is found in more than one job where the board's
    memory might not hold its triples. `on_jobs` is called with the jobs done, and all of them.

    Raises ValueError for points that do not fit the board, BoardError where the board is another one or refuses
    something, and LineLost.
    """
    geometry = board_geometry(host.pipe.name, host.facts)
    plan = plan_layer(inputs, offsets, geometry, outputs=outputs, strides=strides, most_triples=geometry.triples)
    return LayerComparison(plan, _Board(host, geometry).answers(plan, on_jobs)).run(None)


class _Board:
    def __init__(self, host: Host, geometry: LinkedMapperGeometry) -> None:
        self._host, self._geometry = host, geometry
        self._sizes = mapper_sizes(geometry)

    def answers(self, plan: LayerPlan, on_jobs: Callable[[int, int], None]) -> LayerAnswers:
        limits = most_cycles(np.array(plan.cycles)).tolist()
        cycles: list[int] = []
        disordered = False
        # A sort may write over its own input: if an answer is lost, all are done again from the first load on.
        requests: list[Request] = []
        for sort, limit in zip(plan.sorts, limits, strict=False):
            if sort.load and len(sort.source):
                requests += self._load(MapperTarget.KEYS, sort.base, word_bits(sort.source, plan.geometry))
            requests += self._job(sort_job(sort), limit)
        outcomes = list(self._outcomes(requests))
        cycles += [one[0] for one in outcomes]
        on_jobs(len(cycles), len(plan.cycles))
        lists = [
            self._keys(sort.target, outcome["sorted"]) for sort, (_, outcome) in zip(plan.sorts, outcomes, strict=True)
        ]
        parts = []
        for part, limit in zip(plan.maps, limits[len(plan.sorts) :], strict=True):
            moves = move_bits(plan.moves[part.start : part.stop], plan.geometry)
            job = [*self._load(MapperTarget.SHIFTS, 0, moves), *self._job(map_job(plan, part), limit)]
            ((taken, outcome),) = self._outcomes(job)
            cycles.append(taken)
            on_jobs(len(cycles), len(plan.cycles))
            if outcome["overflow"]:
                raise BoardError(f"{self._host.pipe.name} found more triples than there can be: {outcome['triples']:,}")
            disordered |= bool(outcome["disordered"])
            bits = self._read(MapperSource.TRIPLES, 0, outcome["triples"], triple_layout(self._geometry).size)
            parts.append(listed_triples(bits, self._geometry))
        return LayerAnswers(
            cycles=tuple(cycles),
            disordered=disordered,
            lists=tuple(lists),
            triples=joined_triples(plan, parts),
        )

    def _load(self, target: Any, base: int, bits: NDArray[np.uint8]) -> Iterator[Request]:
        """Words (words x bits) for a memory, from `base` on."""
        width = -(-bits.shape[1] // 8)
        words = np.packbits(bits, axis=1, bitorder="little").tobytes()
        return Burst(target=target.value, address=base, width=width, words=words).requests(self._host.longest)

    def _job(self, fields: dict[str, int], limit: int) -> list[Request]:
        outcome = read_request(self._number(MapperSource.OUTCOME, 0), 1, self._sizes.result_bytes)
        return [run_request(job_bytes(self._geometry, fields)[::-1], limit), outcome]

    def _number(self, source: Any, place: int) -> int:
        return int(source.value) << read_layout(self._geometry)["source"].offset | place

    def _outcomes(self, requests: Sequence[Request]) -> Iterator[tuple[int, dict[str, int]]]:
        """Cycles and outcome of each job of `requests`, which are done together."""
        (answers,) = self._host.perform([requests])
        layout = outcome_layout(self._geometry)
        # The answers to loads are empty.
        told = [answer for answer in answers if answer]
        for run, result in zip(told[::2], told[1::2], strict=True):
            _, cycles = struct.unpack("<BI", run)
            word = int.from_bytes(result, "little")
            yield cycles, {name: word >> field.offset & ((1 << field.width) - 1) for name, field in layout}

    def _keys(self, word: int, count: int) -> KeyList:
        """The list of `count` keys from a word of the memory on."""
        size = stored_layout(self._geometry).size
        return listed_keys(self._read(MapperSource.KEYS, word * self._geometry.width, count, size), self._geometry)

    def _read(self, source: Any, first: int, count: int, size: int) -> NDArray[np.uint8]:
        """Results (count x size bits)."""
        jobs = (
            [read_request(self._number(source, at), min(MOST_AT_ONCE, first + count - at), self._sizes.result_bytes)]
            for at in range(first, first + count, MOST_AT_ONCE)
        )
        # Nothing is lost if one is asked for twice: reads change nothing.
        read = b"".join(answer for (answer,) in self._host.perform(jobs))
        words = np.frombuffer(read, np.uint8).reshape(count, self._sizes.result_bytes)
        return np.unpackbits(words, axis=1, bitorder="little")[:, :size]
