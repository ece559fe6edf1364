"""Pictures of plans and searches, as PNG files."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from zeroskip.model.files import replacing
from zeroskip.model.search.methods.sensitivity import SensitivityScan
from zeroskip.model.search.plan import CHANNELS, Plan

MEAN = 10
"""The number of plans that a learning curve averages."""

KEPT, GONE, LINE = "#1f6fb2", "#dfe6ec", "#c8553d"


def save_picture(figure: Figure, path: Path) -> Path:
    """Writes a PNG. An existing file is replaced completely or not at all."""
    with replacing(path) as new:
        figure.savefig(new, format="png", dpi=150)
    return path


def of_plan(plan: Plan) -> Figure:
    """The density of each layer as a bar."""
    names = [layer.name or "(the network)" for layer in plan.layers]
    figure = Figure(figsize=(max(4.0, 1.2 + 0.42 * len(names)), 3.6), layout="constrained")
    axes = figure.subplots()
    kept = [layer.density for layer in plan.layers]
    axes.bar(names, [1.0] * len(names), color=GONE, width=0.7)
    bars = axes.bar(names, kept, color=KEPT, width=0.7)
    axes.bar_label(bars, [f"{100 * share:.3g}" for share in kept], padding=2, fontsize=7)
    axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_ylim(0, 1.08)
    axes.set_xlabel("layer")
    axes.set_ylabel("output channels kept" if plan.granularity == CHANNELS else "weights kept")
    axes.tick_params(axis="x", labelrotation=60 if max(map(len, names)) > 3 else 0, labelsize=8)
    axes.set_title(
        f"{plan.method}: {plan.granularity}, {plan.reached:.1%} of the dense {plan.cost}", fontsize=9, loc="left"
    )
    style(axes)
    return figure


def of_scan(found: SensitivityScan) -> Figure:
    """Accuracy over density, one curve for each pruning group."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    axes = figure.subplots()
    for name, curve in found.curves.items():
        densities, accuracies, _ = zip(*curve, strict=True)
        axes.plot(densities, accuracies, marker="o", markersize=3.5, linewidth=1.4, label=f"layer {name}")
    axes.axhline(found.dense, color="#555555", linewidth=0.8, linestyle=":")
    axes.invert_xaxis()
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(xmax=1))
    axes.set_xlabel("channels kept" if found.granularity == CHANNELS else "weights kept")
    axes.set_ylabel("accuracy, nothing else pruned")
    axes.legend(frameon=False, fontsize=7, ncols=1 + len(found.curves) // 12)
    style(axes)
    return figure


def of_search(
    accuracies: Sequence[float],
    costs: Sequence[float],
    step: str,
    sources: Sequence[str] = (),
    rewards: Sequence[float] = (),
) -> Figure:
    """Accuracy and cost over the steps of a search; `step` names them ("episode", "iteration"). With `sources`, which
    say where each plan comes from, there are curves of the accuracies by source, means of up to MEAN plans; and with
    `rewards` the accuracy of the plan that had the highest one so far."""
    figure = Figure(figsize=(7, 4), layout="constrained")
    upper, lower = figure.subplots(2, sharex=True, height_ratios=(2, 1))
    numbers = range(1, len(accuracies) + 1)
    upper.plot(numbers, accuracies, color=KEPT, linewidth=0 if sources else 0.8, marker=".", markersize=3)
    for source in ("random", "neighbour", "agent"):
        mine = [at for at, other in enumerate(sources) if other == source]
        means = [statistics.mean(accuracies[at] for at in mine[max(0, n - MEAN + 1) : n + 1]) for n in range(len(mine))]
        if mine:
            upper.plot([at + 1 for at in mine], means, linewidth=1.2, label=f"{source}, mean")
    if rewards:
        best = [accuracies[max(range(at + 1), key=lambda one: rewards[one])] for at in range(len(rewards))]
        upper.plot(numbers, best, color=LINE, linewidth=1.4, label="highest reward so far")
        upper.legend(frameon=False, fontsize=8)
    upper.set_ylabel("accuracy")
    lower.plot(numbers, costs, color=KEPT, linewidth=0.8, marker=".", markersize=3)
    lower.set_ylabel("of the dense cost")
    lower.set_xlabel(step)
    lower.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (upper, lower):
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        style(axes)
    return figure


def style(axes: Axes) -> None:
    axes.grid(axis="y", color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
