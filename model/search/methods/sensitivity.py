"""Sensitivity analysis (Han et al., NeurIPS 2015, section 4.1): each group pruned alone, and a plan from the curves.

The plan is not that of the paper, which prunes each layer to about the same loss of accuracy, whatever it saves. It is
the one with the least loss for its cost. The loss is the cross-entropy: it changes where the accuracy is still flat.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from zeroskip.model.progress import silent
from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.evaluation import Evaluator
from zeroskip.model.search.methods.knapsack import Curve, Packed, pack
from zeroskip.model.search.plan import WEIGHTS
from zeroskip.model.search.progress import ReportProgress, SearchProgress
from zeroskip.model.search.spaces.space import PruningGroup, Space

STOP = 0.5
"""A group is scanned until the accuracy falls below this fraction of the dense accuracy."""

WEIGHT_STEPS = (0.8, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02)
CHANNEL_STEPS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Densities that are scanned, beside 1. Removing channels costs accuracy sooner than removing weights."""

BEYOND = 2.0
"""Below the scanned densities, the loss is taken to rise in a straight line, to BEYOND times the last one, at the
smallest possible density."""

Point = tuple[float, float, float]
"""Density, accuracy and loss."""


@dataclass(frozen=True, kw_only=True)
class SensitivityScan:
    """The accuracy and the mean cross-entropy loss, in nats, when one group alone is pruned: for each group a curve of
    (density, accuracy, loss), from density 1 downwards. `dense` is the dense accuracy."""

    granularity: str
    dense: float
    curves: dict[str, tuple[Point, ...]]


def scan(evaluator: Evaluator, *, progress: ReportProgress = silent) -> SensitivityScan:
    """Measures accuracy and loss with each group alone pruned to the densities of `steps_of`."""
    space = evaluator.space
    dense, loss = next(evaluator.measure([{}]))
    curves: dict[str, list[Point]] = {group.name: [(1.0, dense, loss)] for group in space.groups}
    steps = {group.name: steps_of(group, space.granularity) for group in space.groups}
    done, total = 0, sum(map(len, steps.values()))
    # Density by density, not group by group: workers can measure all groups at one density at the same time.
    for step in range(max(map(len, steps.values()))):
        asked = {name: densities[step] for name, densities in steps.items() if step < len(densities)}
        going = [name for name in asked if curves[name][-1][1] >= STOP * dense]
        measured = evaluator.measure({name: asked[name]} for name in going)
        for name, density in asked.items():
            if name in going:
                curves[name].append((density, *next(measured)))
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


def solve(found: SensitivityScan, space: Space, table: CostTable, budget: float) -> Packed:
    """The plan within `budget` (a fraction of the dense cost) with the least loss, if the losses that the groups cause
    alone add up.

    Raises ValueError, with the smallest cost that can be reached, if the budget cannot be met.
    """
    curves = {group.name: _damages(found.curves[group.name], group.least) for group in space.groups}
    return pack(space, table, budget, curves)


def _damages(curve: Sequence[Point], least: float) -> Curve:
    """The densities of a curve, rising, and by how much the loss is above the dense one at each. Fewer weights count as
    never better, and a gain counts as nothing: it says little about plans that prune more groups."""
    densities = [density for density, _, _ in curve]
    damages = np.maximum.accumulate([max(0.0, loss - curve[0][2]) for _, _, loss in curve]).tolist()
    if densities[-1] > least:
        densities.append(least)
        damages.append(BEYOND * damages[-1])
    return np.array(densities[::-1]), np.array(damages[::-1])
