"""Finds nearest neighbours on the RTL of the mapping unit, and compares them with the models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mapping.design import mapper_design
from zeroskip.cosim.mapping.program import nearest_program, read_neighbours, result_words
from zeroskip.cosim.session import Session, most_cycles
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.nearest import NearestPlan, plan_nearest


@dataclass(frozen=True, kw_only=True, eq=False)
class NearestRun:
    """Neighbours on the RTL, compared with the models.

    `indices` and `squared` distances (both int64, queries x count) are those of the RTL, `job_cycles` the cycles of
    each job from `start` to `done`. `mismatches` numbers differ from the golden model.
    """

    plan: NearestPlan
    indices: NDArray[np.int64]
    squared: NDArray[np.int64]
    job_cycles: tuple[int, ...]
    mismatches: int
    cycle_model_equal: bool
    waveform: Path | None

    @property
    def equal(self) -> bool:
        """Whether the run is right: every neighbour and every cycle."""
        return self.mismatches == 0 and self.cycle_model_equal

    @property
    def cycles(self) -> int:
        """Cycles of all jobs, loading not counted."""
        return sum(self.job_cycles)


def run_nearest(
    cloud: NDArray[Any],
    queries: NDArray[Any],
    geometry: MapperGeometry,
    *,
    count: int,
    radius: int | None = None,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
    waveform: Path | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> NearestRun:
    """Finds the `count` nearest points of each query on the RTL, within a `radius` where there is one. The arguments
    and the errors for wrong ones are those of zeroskip.model.mapping.nearest.plan_nearest; the others are those of
    zeroskip.cosim.mapping.play.run_layer."""
    plan = plan_nearest(cloud, queries, geometry, count=count, radius=radius)
    design = mapper_design(geometry)
    with Session(design, simulator=simulator, seed=seed, waveform=waveform, announce=announce) as session:
        lines = session.play(nearest_program(plan, most_cycles(np.array(plan.cycles)).tolist())).splitlines()
        marks = [line.split() for line in lines if line[:1] == b"C"]
        if len(marks) < len(plan.jobs):
            raise session.failed(
                range(len(marks), len(marks) + 1),
                f"job {len(marks)} of {len(plan.jobs)} was not done after {int(lines[-1].split()[1]):,} cycles; the "
                f"cycle model expected {plan.cycles[len(marks)]:,}",
            )
        words = [line[2:] for line in lines if line[:1] == b"D"]
        indices, squared = np.empty_like(plan.indices), np.empty_like(plan.squared)
        cycles = tuple(int(mark[1]) for mark in marks)
        failing = []
        for number, job in enumerate(plan.jobs):
            part = slice(job.start, job.stop)
            own, words = words[: result_words(plan, job)], words[result_words(plan, job) :]
            indices[part], squared[part] = read_neighbours(own, plan, job)
            right = (indices[part] == plan.indices[part]).all() and (squared[part] == plan.squared[part]).all()
            if not right or cycles[number] != plan.cycles[number]:
                failing.append(number)
        if failing:
            session.fail(range(failing[0], failing[0] + 1))
    return NearestRun(
        plan=plan,
        indices=indices,
        squared=squared,
        job_cycles=cycles,
        mismatches=int(np.count_nonzero(indices != plan.indices) + np.count_nonzero(squared != plan.squared)),
        cycle_model_equal=cycles == plan.cycles,
        waveform=session.waveform,
    )
