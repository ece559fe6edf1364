"""Sensitivity analysis (Han et al., NeurIPS 2015, section 4.1): each layer pruned alone, and a plan from the curves."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from model.files import replacing
from model.search.cost import CostTable
from model.search.evaluation import Evaluator
from model.search.plan import WEIGHTS
from model.search.progress import Progress, State, silent
from model.search.space import Densities, Space, Unit, require_reachable

STOP = 0.5
"""A unit is scanned until its accuracy falls below this fraction of the dense network's."""

WEIGHT_STEPS = (0.8, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02)
CHANNEL_STEPS = (0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1)
"""Densities that are scanned, beside 1. Channels are missed sooner than weights."""

STEPS = 40
"""Halvings by which the accuracy that all units are held to is found."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Accuracies where one unit alone is pruned: of each (density, accuracy), densities falling from 1."""

    granularity: str
    dense: float
    curves: dict[str, tuple[tuple[float, float], ...]]


def scan(evaluator: Evaluator, *, progress: Progress = silent) -> Scan:
    """Scans the units one by one, each alone at the densities of `steps_of`."""
    space = evaluator.space
    dense = evaluator.accuracy({})
    curves: dict[str, list[tuple[float, float]]] = {unit.name: [(1.0, dense)] for unit in space.units}
    steps = {unit.name: steps_of(unit, space.granularity) for unit in space.units}
    done, total = 0, sum(map(len, steps.values()))
    # By densities, then by units: those of one density can be measured at the same time.
    for step in range(max(map(len, steps.values()))):
        asked = {name: densities[step] for name, densities in steps.items() if step < len(densities)}
        going = [name for name in asked if curves[name][-1][1] >= STOP * dense]
        measured = evaluator.accuracies({name: asked[name]} for name in going)
        for name, density in asked.items():
            if name in going:
                curves[name].append((density, next(measured)))
            done += 1
            progress(State(done=done, total=total, trying=f"{name} at {density:.0%}", accuracy=curves[name][-1][1]))
    return Scan(
        granularity=space.granularity, dense=dense, curves={name: tuple(curve) for name, curve in curves.items()}
    )


def steps_of(unit: Unit, granularity: str) -> tuple[float, ...]:
    """The densities below 1 that a unit is scanned at, falling, without those that it cannot have."""
    wanted = WEIGHT_STEPS if granularity == WEIGHTS else CHANNEL_STEPS
    found = {unit.nearest(density) for density in wanted}
    return tuple(sorted(found - {1.0}, reverse=True))


def solve(found: Scan, space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """The densities within `budget` of the dense cost with which the units, each pruned alone, all keep the same
    accuracy, the highest that the budget allows.

    Raises ValueError, with the smallest cost that can be reached, where the budget cannot be met.
    """
    require_reachable(space, table, budget, densities_at(found, space, -1.0))
    limit = budget * table.dense

    def fits(densities: Densities) -> bool:
        return table.total(space.points(densities)) <= limit

    whole = densities_at(found, space, found.dense)
    if fits(whole):
        return whole
    low, high = -1.0, found.dense
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if fits(densities_at(found, space, middle)) else (low, middle)
    best, beyond = densities_at(found, space, low), densities_at(found, space, high)
    # Where curves are flat or have steps, the densities jump between two accuracies that are next to equal: what the
    # budget has left goes to one unit after the other, as far as it reaches.
    for unit in space.units:
        name = unit.name

        def more(density: float, name: str = name) -> bool:
            return density <= beyond[name] and fits({**best, name: density})

        best[name] = max(best[name], unit.largest(more) or 0.0)
    return best


def densities_at(found: Scan, space: Space, accuracy: float) -> dict[str, float]:
    """The least density of every unit that keeps this accuracy when no other unit is pruned."""
    return {unit.name: unit.above(_least(found.curves[unit.name], accuracy)) for unit in space.units}


def _least(curve: Sequence[tuple[float, float]], accuracy: float) -> float:
    """The least density with at least this accuracy, between two of the curve by a straight line."""
    densities, measured = (np.array(values)[::-1] for values in zip(*curve, strict=True))
    # More weights are never worse: what fewer achieve, more do too.
    rising = np.maximum.accumulate(measured)
    at = int(np.searchsorted(rising, accuracy))
    if at == 0:
        return float(densities[0])
    if at == len(rising):
        return 1.0
    share = (accuracy - rising[at - 1]) / (rising[at] - rising[at - 1])
    return float(densities[at - 1] + share * (densities[at] - densities[at - 1]))


def save_scan(found: Scan, stem: Path) -> list[Path]:
    """Writes the curves as CSV, JSON and a picture, `stem` with their suffixes; gives the three paths."""
    paths = [stem.with_suffix(suffix) for suffix in (".csv", ".curves.json", ".png")]
    with replacing(paths[0]) as part, part.open("w", newline="") as file:
        rows = csv.writer(file)
        rows.writerow(("layer", "density", "accuracy"))
        rows.writerows((name, *point) for name, curve in found.curves.items() for point in curve)
    with replacing(paths[1]) as part:
        part.write_text(json.dumps({"granularity": found.granularity, "dense": found.dense, "curves": found.curves}))
    with replacing(paths[2]) as part:
        picture(found).savefig(part, format="png", dpi=150)
    return paths


def picture(found: Scan) -> Figure:
    """Accuracy over density, a curve for each layer."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in found.curves.items():
        axes.plot(*zip(*curve, strict=True), marker="o", markersize=3.5, linewidth=1.4, label=f"layer {name}")
    axes.axhline(found.dense, color="#555555", linewidth=0.8, linestyle=":")
    axes.invert_xaxis()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("weights kept in the layer")
    axes.set_ylabel("accuracy, no other layer pruned")
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.legend(frameon=False, fontsize=8)
    return figure
