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
        parsed = _Record(plan, lines)
        if parsed.failing is not None:
            session.fail(range(parsed.failing, parsed.failing + 1))
    return parsed.run(session.waveform)


def run_layer_with_pauses(plan: LayerPlan, *, pause: float, seed: int = 0) -> NDArray[np.int64]:
    """The triples of a layer (int64, triples x 3) where they wait at random, in the fraction `pause` of all cycles."""
    plusargs = {"pause": str(round(256 * pause))}
    with Player(mapper_design(plan.geometry).build(Simulator.VERILATOR), seed=seed, plusargs=plusargs) as player:
        lines = player.play(layer_program(plan, [NO_LIMIT] * len(plan.cycles))).splitlines()
    return _Record(plan, lines).triples


class _Record:
    """The record of a layer, taken apart and compared."""

    def __init__(self, plan: LayerPlan, lines: list[bytes]) -> None:
        geometry = plan.geometry
        self.plan = plan
        marks = [line.split() for line in lines if line[:1] == b"C"]
        assert len(marks) == len(plan.cycles), "the player stopped early"
        self.cycles = [int(mark[1]) for mark in marks]
        self.disordered = marks[-1][2] == b"1"
        words = [line[2:] for line in lines if line[:1] == b"D"]
        self.lists: list[KeyList] = []
        for sort, mark in zip(plan.sorts, marks, strict=False):
            # As many words were read as the golden model expects keys.
            blocks = geometry.blocks(len(sort.found)) if len(sort.found) else 0
            self.lists.append(read_list(words[:blocks], int(mark[3]), geometry))
            words = words[blocks:]
        found = [line.split() for line in lines if line[:1] == b"M"]
        counts = np.array([int(line[1]) for line in found], np.int64)
        self.triples = read_triples(counts, [line[2] for line in found], geometry)

        self.values, self.mismatches = 0, 0
        wrong = []
        for job, (sort, made) in enumerate(zip(plan.sorts, self.lists, strict=True)):
            before = self.mismatches
            self._compare(made.keys, sort.found.keys)
            self._compare(made.indices, sort.found.indices)
            wrong += [job] * (self.mismatches > before)
        before = self.mismatches
        self._compare(self.triples, plan.triples)
        wrong += [len(plan.sorts)] * (self.mismatches > before or self.disordered)
        slow = [job for job, (a, b) in enumerate(zip(self.cycles, plan.cycles, strict=True)) if a != b]
        self.cycle_model_equal = not slow
        self.failing = min(wrong + slow, default=None)

    def _compare(self, made: NDArray[np.int64], golden: NDArray[np.int64]) -> None:
        """Numbers that differ, or stand in one of the two alone."""
        both = min(len(made), len(golden))
        self.values += max(made.size, golden.size)
        self.mismatches += int(np.count_nonzero(made[:both] != golden[:both])) + abs(made.size - golden.size)

    def run(self, waveform: Path | None) -> LayerRun:
        ends = self.lists[self.plan.sorts.index(self.plan.outputs)]
        return LayerRun(
            plan=self.plan,
            triples=self.triples,
            outputs=unpack(ends.keys, self.plan.geometry),
            output_rows=ends.indices,
            sort_cycles=tuple(self.cycles[:-1]),
            map_cycles=self.cycles[-1],
            transfers=transfers(self.plan),
            values=self.values,
            mismatches=self.mismatches,
            cycle_model_equal=self.cycle_model_equal,
            disordered=self.disordered,
            waveform=waveform,
        )
