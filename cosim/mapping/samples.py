"""Farthest-point sampling on the RTL of the mapping unit, compared with the models."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mapping.design import mapper_design
from zeroskip.cosim.mapping.program import farthest_program, read_samples
from zeroskip.cosim.session import Session, most_cycles
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mapping.farthest import FarthestPlan, plan_farthest
from zeroskip.model.mapping.geometry import MapperGeometry


@dataclass(frozen=True, kw_only=True, eq=False)
class FarthestRun:
    """Samples (int64, rows of the points, the given first one included) on the RTL, and the cycles from `start` to
    `done`. `mismatches` samples differ from the golden model."""

    plan: FarthestPlan
    samples: NDArray[np.int64]
    cycles: int
    mismatches: int
    waveform: Path | None

    @property
    def equal(self) -> bool:
        """Whether the run is right: every sample and every cycle."""
        return self.mismatches == 0 and self.cycles == self.plan.cycles


def run_farthest(
    cloud: NDArray[Any],
    geometry: MapperGeometry,
    *,
    count: int,
    first: int = 0,
    simulator: Simulator = Simulator.VERILATOR,
    seed: int = 0,
    waveform: Path | None = None,
    announce: Callable[[str], None] = lambda _: None,
) -> FarthestRun:
    """Finds `count` samples on the RTL, beginning with row `first`. The arguments and the errors for wrong ones are
    those of zeroskip.model.mapping.farthest.plan_farthest; the others are those of
    zeroskip.cosim.mapping.play.run_layer."""
    plan = plan_farthest(cloud, geometry, count=count, first=first)
    design = mapper_design(geometry)
    with Session(design, simulator=simulator, seed=seed, waveform=waveform, announce=announce) as session:
        lines = session.play(farthest_program(plan, int(most_cycles(plan.cycles)))).splitlines()
        if lines[-1][:1] == b"T":
            raise session.failed(
                range(1),
                f"sampling was not done after {int(lines[-1].split()[1]):,} cycles; the cycle model expected "
                f"{plan.cycles:,}",
            )
        cycles = int(lines[0].split()[1])
        found = read_samples([line[2:] for line in lines if line[:1] == b"D"], geometry)
        samples = np.concatenate([[first], found])
        mismatches = int(np.count_nonzero(samples != plan.samples))
        if mismatches or cycles != plan.cycles:
            session.fail(range(1))
    return FarthestRun(plan=plan, samples=samples, cycles=cycles, mismatches=mismatches, waveform=session.waveform)
