"""The picture of a comparison of searches with rules and other pruners."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, PercentFormatter

from zeroskip.model.search.choices import METHODS
from zeroskip.model.search.views.pictures import LINE, style

SEARCHES = dict(zip(METHODS, ("#1f6fb2", "#2e8b57", "#c8553d"), strict=True))
OTHERS = ("#8a8a8a", "#b08d57", "#8e6bb0", "#5b9aa0", "#c2a83e", "#7d8f69", "#b56576", "#6d6875")


def of_comparison(budgets: Sequence[dict[str, Any]], dense: float, cost: str) -> Figure:
    """Accuracies before and after fine-tuning over the exact cost: a line for each name, or one point each with its
    deviation where there is one budget. Searches have thick lines, names with a fit dashed ones."""
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    panels = figure.subplots(1, 2)
    names = list(budgets[0]["policies"])
    plain = [name for name in names if name not in SEARCHES and not name.endswith("+fit")]
    colours = {**SEARCHES, **{name: OTHERS[at % len(OTHERS)] for at, name in enumerate(plain)}}
    for axes, stage, spread in zip(panels, ("before", "after"), ("std_before", "std"), strict=True):
        for at, name in enumerate(names):
            found = [one["policies"][name] for one in budgets]
            reached = [one["cost"] if one["exact"] is None else one["exact"] for one in found]
            # Those of one budget cost the same: side by side.
            across = reached if len(budgets) > 1 else [at]
            axes.errorbar(
                across,
                [one[stage] for one in found],
                yerr=[one[spread] for one in found],
                color=colours[name.removesuffix("+fit")],
                linestyle="--" if name.endswith("+fit") else "-",
                linewidth=2.2 if name in SEARCHES else 1.1,
                marker="o" if name in SEARCHES else "s" if name.endswith("+fit") else "x",
                markersize=5,
                capsize=2,
                label=name,
            )
        axes.axhline(dense, color=LINE, linewidth=0.8, linestyle=":")
        axes.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        axes.set_title(f"{stage} fine-tuning", fontsize=9, loc="left")
        if len(budgets) > 1:
            axes.xaxis.set_major_locator(MaxNLocator(6, steps=(1, 2, 5, 10)))
            axes.xaxis.set_major_formatter(PercentFormatter(xmax=1, decimals=0))
            axes.set_xlabel(f"of the dense {cost}, by the exact model")
        else:
            axes.set_xticks(range(len(names)), names, rotation=60, fontsize=7, ha="right", rotation_mode="anchor")
        style(axes)
    panels[0].set_ylabel("accuracy on the test set")
    if len(budgets) > 1:
        figure.legend(*panels[0].get_legend_handles_labels(), frameon=False, fontsize=7, loc="outside right upper")
    return figure
