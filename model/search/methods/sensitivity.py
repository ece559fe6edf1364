"""Sensitivity analysis (Han et al., NeurIPS 2015, section 4.1): each group pruned alone, and a plan from the curves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zeroskip.model.progress import silent
from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.evaluation import Evaluator
from zeroskip.model.search.methods.policies import fit_to_budget
from zeroskip.model.search.plan import WEIGHTS
from zeroskip.model.search.progress import ReportProgress, SearchProgress
from zeroskip.model.search.spaces.space import PruningGroup, Space, require_reachable

STOP = 0.5
"""A group is scanned until the accuracy falls below this fraction of the dense accuracy."""

WEIGHT_STEPS = (0.8, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02)
CHANNEL_STEPS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Densities that are scanned, beside 1. Removing channels costs accuracy sooner than removing weights."""

STEPS = 40
"""Steps of the bisection for the accuracy."""


@dataclass(frozen=True, kw_only=True)
class SensitivityScan:
    """The accuracy when one group alone is pruned: for each group a curve of (density, accuracy), from density 1
    downwards. `dense` is the dense accuracy."""

    granularity: str
    dense: float
    curves: dict[str, tuple[tuple[float, float], ...]]


def scan(evaluator: Evaluator, *, progress: ReportProgress = silent) -> SensitivityScan:
    """Measures the accuracy with each group alone pruned to the densities of `steps_of`."""
    space = evaluator.space
    dense = evaluator.accuracy({})
    curves: dict[str, list[tuple[float, float]]] = {group.name: [(1.0, dense)] for group in space.groups}
    steps = {group.name: steps_of(group, space.granularity) for group in space.groups}
    done, total = 0, sum(map(len, steps.values()))
    # Density by density, not group by group: workers can measure all groups at one density at the same time.
    for step in range(max(map(len, steps.values()))):
        asked = {name: densities[step] for name, densities in steps.items() if step < len(densities)}
        going = [name for name in asked if curves[name][-1][1] >= STOP * dense]
        measured = evaluator.accuracies({name: asked[name]} for name in going)
        for name, density in asked.items():
            if name in going:
                curves[name].append((density, next(measured)))
            done += 1
            progress(
                SearchProgress(done=done, total=total, trying=f"{name} at {density:.0%}", accuracy=curves[name][-1][1])
            )
    return SensitivityScan(
        granularity=space.granularity, dense=dense, curves={name: tuple(curve) for name, curve in curves.items()}
    )


def steps_of(group: PruningGroup, granularity: str) -> tuple[float, ...]:
    """The possible densities below 1 at which a group is scanned, falling."""
    wanted = WEIGHT_STEPS if granularity == WEIGHTS else CHANNEL_STEPS
    found = {group.nearest(density) for density in wanted}
    return tuple(sorted(found - {1.0}, reverse=True))


def solve(found: SensitivityScan, space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """The densities at which all groups, each pruned alone, have the same accuracy: the highest accuracy for which the
    plan costs at most `budget` of the dense cost.

    Raises ValueError, with the smallest cost that can be reached, if the budget cannot be met.
    """
    require_reachable(space, table, budget, space.least())

    def fits(accuracy: float) -> bool:
        return table.total(space.points(densities_at(found, space, accuracy))) <= budget * table.dense

    # At an accuracy that no curve reaches, nothing is pruned. Pruning often gains a little accuracy, so this bound is
    # above the dense accuracy.
    low, high = -1.0, 1.0 + 1e-9
    if fits(high):
        return densities_at(found, space, high)
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(middle) else (low, middle)
    best, beyond = densities_at(found, space, low), densities_at(found, space, high)

    def between(share: float) -> dict[str, float]:
        return {name: density + share * (beyond[name] - density) for name, density in best.items()}

    # Where curves are flat, the densities jump between two nearly equal accuracies: take a point between the two.
    return fit_to_budget(space, table, budget, between)


def densities_at(found: SensitivityScan, space: Space, accuracy: float) -> dict[str, float]:
    """The smallest density of every group that keeps this accuracy when no other group is pruned."""
    densities = {}
    for group in space.groups:
        curve = found.curves[group.name]
        # Below the scanned densities, assume that the accuracy falls to 0 at the smallest possible density.
        if curve[-1][0] > group.least:
            curve = (*curve, (group.least, 0.0))
        densities[group.name] = group.above(_least(curve, accuracy))
    return densities


def _least(curve: Sequence[tuple[float, float]], accuracy: float) -> float:
    """The smallest density with at least this accuracy, by linear interpolation of the curve."""
    densities, measured = (np.array(values)[::-1] for values in zip(*curve, strict=True))
    # Assume that more weights are never worse.
    rising = np.maximum.accumulate(measured)
    at = int(np.searchsorted(rising, accuracy))
    if at == 0:
        return float(densities[0])
    if at == len(rising):
        return 1.0
    share = (accuracy - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(densities[at - 1] + share * (densities[at] - densities[at - 1]))
