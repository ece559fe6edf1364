"""Sensitivity analysis (Han et al., NeurIPS 2015, section 4.1): each layer pruned alone, and a plan from the curves."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from model.files import replacing
from model.search.cost import CostTable
from model.search.evaluation import Evaluator
from model.search.plan import WEIGHTS, LayerPlan, Plan

STOP = 0.5
"""A layer is scanned until its accuracy falls below this fraction of the dense network's."""

STEPS = 40
"""Halvings by which the accuracy that all layers are held to is found."""


@dataclass(frozen=True, kw_only=True)
class Scan:
    """Accuracies where one layer alone is pruned: of each layer (density, accuracy), densities falling from 1."""

    granularity: str
    dense: float
    curves: dict[str, tuple[tuple[float, float], ...]]


def scan(
    evaluator: Evaluator,
    names: Sequence[str],
    densities: Sequence[float],
    *,
    progress: Callable[[str, float, float], None] = lambda *_: None,
) -> Scan:
    """Scans the layers one by one, `densities` falling from 1. `progress` is called with the layer, the density and
    the accuracy, also for those that are skipped because a larger density was too small already."""
    dense = evaluator.accuracy({})
    curves = {}
    for name in names:
        curve = [(1.0, dense)]
        for density in densities:
            if density < 1 and curve[-1][1] >= STOP * dense:
                curve.append((density, evaluator.accuracy({name: density})))
            progress(name, density, curve[-1][1])
        curves[name] = tuple(curve)
    return Scan(granularity=evaluator.granularity, dense=dense, curves=curves)


def solve(found: Scan, table: CostTable, budget: float, shapes: Mapping[str, tuple[int, ...]]) -> Plan:
    """The plan within `budget` of the dense cost whose layers, each pruned alone, all keep the same accuracy, the
    highest that the budget allows.

    Raises ValueError, with the smallest cost that can be reached, where the budget cannot be met.
    """
    if not 0 < budget <= 1:
        raise ValueError(f"budget must be above 0 and at most 1, a fraction of the dense cost, not {budget}")

    def densities_at(accuracy: float) -> dict[str, float]:
        return {name: _least(curve, accuracy, found.granularity) for name, curve in found.curves.items()}

    limit = budget * table.dense
    smallest = densities_at(-1.0)
    if table.total(smallest) > limit:
        raise ValueError(
            f"budget {budget} of the dense {table.cost} cannot be met: the scan reaches "
            f"{table.total(smallest) / table.dense:.4f} at the least"
        )
    if table.total(densities_at(found.dense)) <= limit:
        best = densities_at(found.dense)
    else:
        best, above = _bisect(densities_at, -1.0, found.dense, table, limit)
        if found.granularity == WEIGHTS:
            # Where curves are flat, the densities jump between two accuracies that are next to equal.
            below = best
            best, _ = _bisect(
                lambda share: {name: below[name] + share * (above[name] - below[name]) for name in below},
                0.0,
                1.0,
                table,
                limit,
            )
    return Plan(
        granularity=found.granularity,
        layers=tuple(LayerPlan(name=name, shape=shapes[name], density=best[name]) for name in found.curves),
        method="sensitivity",
        cost=table.cost,
        budget=budget,
        reached=table.total(best) / table.dense,
    )


def _bisect(
    densities_at: Callable[[float], dict[str, float]], low: float, high: float, table: CostTable, limit: float
) -> tuple[dict[str, float], dict[str, float]]:
    """Densities within the limit and beyond it that lie as close as can be; `low` is within, `high` beyond."""
    for _ in range(STEPS):
        middle = (low + high) / 2
        low, high = (middle, high) if table.total(densities_at(middle)) <= limit else (low, middle)
    return densities_at(low), densities_at(high)


def _least(curve: Sequence[tuple[float, float]], accuracy: float, granularity: str) -> float:
    """The least density with at least this accuracy. Single weights may be pruned to any between two of the curve."""
    densities, measured = (np.array(values)[::-1] for values in zip(*curve, strict=True))
    # More weights are never worse: what fewer achieve, more do too.
    rising = np.maximum.accumulate(measured)
    at = int(np.searchsorted(rising, accuracy))
    if at == 0:
        return float(densities[0])
    if at == len(rising):
        return 1.0
    if granularity != WEIGHTS:
        return float(densities[at])
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
