"""Runs layers of sparse convolutions on the RTL of the mapping unit, and compares them with the models."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mapping.design import mapper_design
from zeroskip.cosim.mapping.program import layer_program, read_list, read_triples, transfers
from zeroskip.cosim.player import Player
from zeroskip.cosim.session import NO_LIMIT, Session, most_cycles
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList
from zeroskip.model.mapping.keys import unpack
from zeroskip.model.mapping.layer import LayerPlan, plan_layer


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRun:
    """A layer on the RTL, compared with the models.

    `triples` (int64, triples x 3) are the map: offset number, input row, output row, by offset, then by output.
    `outputs` (int32, points x (1 + dims)) are the sorted output points, and `output_rows` (int64, points) the rows by
    which triples name them. `sort_cycles` and `map_cycles` are those from `start` to `done` of each job, `transfers`
    the words that were loaded and read, one a cycle, while no job ran. `values` numbers of lists and triples were
    compared, `mismatches` of them differ from the golden model. `disordered` is the unit's flag: a list was not sorted.
    """

    plan: LayerPlan
    triples: NDArray[np.int64]
    outputs: NDArray[np.int32]
    output_rows: NDArray[np.int64]
    sort_cycles: tuple[int, ...]
    map_cycles: int
    transfers: int
    values: int
    mismatches: int
    cycle_model_equal: bool
    disordered: bool
    waveform: Path | None

    @property
    def equal(self) -> bool:
        """Whether the run is right: every triple and every cycle."""
        return self.mismatches == 0 and self.cycle_model_equal and not self.disordered

    @property
    def cycles(self) -> int:
        """Cycles of all jobs, loading not counted."""
        return sum(self.sort_cycles) + self.map_cycles

    @property
    def utilisation(self) -> float:
        """Keys that the map merged, as a fraction of all that the merger could in its cycles."""
        keys = len(self.plan.moves) * (len(self.plan.inputs.found) + len(self.plan.outputs.found))
        return keys / (self.map_cycles * self.plan.geometry.width)

    @property
    def pairs(self) -> NDArray[np.int64]:
        """Triples of each offset (int64, offsets)."""
        return np.bincount(self.triples[:, 0], minlength=len(self.plan.moves))

    def summary(self) -> dict[str, Any]:
        """The result as JSON. Rates are fractions."""
        return {
            "width": self.plan.geometry.width,
            "inputs": len(self.plan.inputs.found),
            "outputs": len(self.outputs),
            "offsets": len(self.plan.moves),
            "triples": len(self.triples),
            "cycles": self.cycles,
            "sort_cycles": list(self.sort_cycles),
            "map_cycles": self.map_cycles,
            "transfers": self.transfers,
            "utilisation": self.utilisation,
            "values": self.values,
            "mismatches": self.mismatches,
            "equal": self.mismatches == 0 and not self.disordered,
            "model_equal": self.cycle_model_equal,
            "waveform": None if self.waveform is None else str(self.waveform),
        }

    def rows(self) -> list[tuple[str, str]]:
        """The same for people, as (label, value)."""
        figures = self.summary()
        return [
            ("inputs, outputs, offsets", ", ".join(f"{figures[name]:,}" for name in ("inputs", "outputs", "offsets"))),
            ("keys merged per cycle", f"{figures['width']}"),
            ("triples", f"{figures['triples']:,}"),
            ("cycles of the sorts", " + ".join(f"{cycles:,}" for cycles in self.sort_cycles)),
            ("cycles of the map", f"{self.map_cycles:,}"),
            ("transfers", f"{self.transfers:,}"),
            ("utilisation of the merger", f"{self.utilisation:.1%}"),
            ("cycle model", "equal" if self.cycle_model_equal else "NOT EQUAL"),
            ("RTL against golden model", f"{self.mismatches:,} mismatches in {self.values:,} values"),
            *([("lists", "NOT SORTED")] if self.disordered else []),
            *([] if self.waveform is None else [("waveform", str(self.waveform))]),
        ]


def run_layer(
    inputs: NDArray[Any],
    offsets: NDArray[Any] | Sequence[Sequence[int]],
    geometry: MapperGeometry,
    *,
    outputs: NDArray[Any] | None = None,
    strides: Sequence[int] | None = None,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
    waveform: Path | None = None,
    announce: Callable[[str], None] = lambda _: None,
    on_jobs: Callable[[int, int], None] = lambda done, total: None,
) -> LayerRun:
    """Sorts the points of a layer and finds its map on the RTL, and compares all with the golden model and the cycle
    model. The arguments and the errors for wrong ones are those of zeroskip.model.mapping.layer.plan_layer.

    The memories start with random contents by `seed`. If the RTL differs from a model, the first job that does is
    recorded as `waveform`, by default in the cache folder. `announce` is called with a description before any work that
    takes longer than a second, `on_jobs` with the jobs done, and all of them.

    Raises SimulatorError if the simulator is missing or fails, or a job takes much longer than the cycle model says.
    """
    plan = plan_layer(inputs, offsets, geometry, outputs=outputs, strides=strides)
    with Session(
        mapper_design(geometry), simulator=simulator, seed=seed, waveform=waveform, announce=announce
    ) as session:
        limits = most_cycles(np.array(plan.cycles)).tolist()
        record = session.play(layer_program(plan, limits), lambda done: on_jobs(done, len(plan.cycles)))
        lines = record.splitlines()
        if lines and lines[-1][:1] == b"T":
            job = sum(line[:1] == b"C" for line in lines)
            raise session.failed(
                range(job, job + 1),
                f"job {job} of {len(plan.cycles)} was not done after {int(lines[-1].split()[1]):,} cycles; the cycle "
                f"model expected {plan.cycles[job]:,}",
            )
        compared = LayerComparison(plan, _recorded(plan, lines))
        if compared.failing is not None:
            session.fail(range(compared.failing, compared.failing + 1))
    return compared.run(session.waveform)


def run_layer_with_pauses(plan: LayerPlan, *, pause: float, seed: int = 0) -> NDArray[np.int64]:
    """The triples of a layer (int64, triples x 3) where they wait at random, in the fraction `pause` of all cycles."""
    plusargs = {"pause": str(round(256 * pause))}
    with Player(mapper_design(plan.geometry).build(Simulator.VERILATOR), seed=seed, plusargs=plusargs) as player:
        lines = player.play(layer_program(plan, [NO_LIMIT] * len(plan.cycles))).splitlines()
    return _recorded(plan, lines).triples


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerAnswers:
    """What a unit gave for a layer: the `cycles` of each job, whether it found a list `disordered`, the sorted lists,
    and the triples (int64, triples x 3)."""

    cycles: tuple[int, ...]
    disordered: bool
    lists: tuple[KeyList, ...]
    triples: NDArray[np.int64]


def joined_triples(plan: LayerPlan, parts: Sequence[NDArray[np.int64]]) -> NDArray[np.int64]:
    """The map, from the triples of each job that finds a part of it: the unit counts the offsets of a job from 0 on."""
    moved = [triples + np.array([part.start, 0, 0]) for part, triples in zip(plan.maps, parts, strict=True)]
    return np.concatenate([np.zeros((0, 3), np.int64), *moved])


class LayerComparison:
    """The answers of a unit against the models. `failing` is the first job that differs, or None."""

    def __init__(self, plan: LayerPlan, answers: LayerAnswers) -> None:
        self.plan, self.answers = plan, answers
        self.values, self.mismatches = 0, 0
        wrong = []
        for job, (sort, made) in enumerate(zip(plan.sorts, answers.lists, strict=True)):
            before = self.mismatches
            self._compare(made.keys, sort.found.keys)
            self._compare(made.indices, sort.found.indices)
            wrong += [job] * (self.mismatches > before)
        before = self.mismatches
        self._compare(answers.triples, plan.triples)
        wrong += [len(plan.sorts)] * (self.mismatches > before or answers.disordered)
        slow = [job for job, (a, b) in enumerate(zip(answers.cycles, plan.cycles, strict=True)) if a != b]
        self.cycle_model_equal = not slow
        self.failing = min(wrong + slow, default=None)

    def _compare(self, made: NDArray[np.int64], golden: NDArray[np.int64]) -> None:
        """Numbers that differ, or stand in one of the two alone."""
        both = min(len(made), len(golden))
        self.values += max(made.size, golden.size)
        self.mismatches += int(np.count_nonzero(made[:both] != golden[:both])) + abs(made.size - golden.size)

    def run(self, waveform: Path | None) -> LayerRun:
        """The layer's run, with the waveform of a failure."""
        plan, answers = self.plan, self.answers
        ends = answers.lists[plan.sorts.index(plan.outputs)]
        sorts = len(plan.sorts)
        return LayerRun(
            plan=plan,
            triples=answers.triples,
            outputs=unpack(ends.keys, plan.geometry),
            output_rows=ends.indices,
            sort_cycles=answers.cycles[:sorts],
            map_cycles=sum(answers.cycles[sorts:]),
            transfers=transfers(plan),
            values=self.values,
            mismatches=self.mismatches,
            cycle_model_equal=self.cycle_model_equal,
            disordered=answers.disordered,
            waveform=waveform,
        )


def _recorded(plan: LayerPlan, lines: list[bytes]) -> LayerAnswers:
    """The record of a layer's program, taken apart."""
    geometry = plan.geometry
    marks = [line.split() for line in lines if line[:1] == b"C"]
    assert len(marks) == len(plan.cycles), "the player stopped early"
    words = [line[2:] for line in lines if line[:1] == b"D"]
    lists = []
    for sort, mark in zip(plan.sorts, marks, strict=False):
        # As many words were read as the golden model expects keys.
        blocks = geometry.blocks(len(sort.found)) if len(sort.found) else 0
        lists.append(read_list(words[:blocks], int(mark[3]), geometry))
        words = words[blocks:]
    # Triples stand before the mark of their job.
    parts: list[list[list[bytes]]] = [[]]
    for line in lines:
        if line[:1] == b"M":
            parts[-1].append(line.split())
        elif line[:1] == b"C":
            parts.append([])
    triples = [
        read_triples(np.array([int(one[1]) for one in part], np.int64), [one[2] for one in part], geometry)
        for part in parts[len(plan.sorts) : len(marks)]
    ]
    return LayerAnswers(
        cycles=tuple(int(mark[1]) for mark in marks),
        disordered=any(mark[2] == b"1" for mark in marks[len(plan.sorts) :]),
        lists=tuple(lists),
        triples=joined_triples(plan, triples),
    )
