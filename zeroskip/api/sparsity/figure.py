"""The figure of `zeroskip bench sparsity`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, NullFormatter

from zeroskip.model.files import replacing
from zeroskip.model.plot_style import STYLE

# Okabe and Ito's colours, which the colour-blind tell apart.
_COLOURS = ("#555555", "#d55e00", "#e69f00", "#cc79a7", "#0072b2", "#009e73")


def draw(figures: dict[str, Any], path: Path) -> None:
    """Cycles over density, relative to the dense tile: a plot for each layer and batch. A tile is a point at its own
    density, and a line below it: it is no faster with fewer weights."""
    rows = figures["rows"]
    sizes, batches = (list(dict.fromkeys(row[name] for row in rows)) for name in ("size", "batch"))
    names = list(dict.fromkeys(row["rival"] for row in rows))
    with matplotlib.rc_context(STYLE):
        figure = Figure(figsize=(1.2 + 2.7 * len(batches), 1.3 + 2.1 * len(sizes)), layout="constrained")
        plots = figure.subplots(len(sizes), len(batches), sharex=True, sharey=True, squeeze=False)
        for plot, (size, batch) in zip(plots.flat, ((s, b) for s in sizes for b in batches), strict=True):
            here = [row for row in rows if (row["size"], row["batch"]) == (size, batch)]
            (dense,) = (row["bounded_cycles"] for row in here if row["rival"] == names[0])
            least = min(row["density"] for row in here)
            for name, colour in zip(names, _COLOURS * 2, strict=False):
                points = [(row["density"], row["bounded_cycles"] / dense) for row in here if row["rival"] == name]
                if len(points) == 1:
                    (density, ratio) = points[0]
                    plot.plot([least, density], [ratio, ratio], color=colour, linewidth=1.1, linestyle="--")
                    plot.plot([density], [ratio], "o", color=colour, markersize=4)
                else:
                    plot.plot(*zip(*points, strict=True), color=colour, marker="s", markersize=3, linewidth=1.5)
            plot.set_xscale("log")
            plot.set_yscale("log")
            plot.set_title(f"{size:,} x {size:,}, batch {batch}")
            plot.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:.0%}"))
            plot.xaxis.set_minor_formatter(NullFormatter())
            plot.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
            plot.yaxis.set_minor_formatter(NullFormatter())
        figure.supxlabel("weights kept", fontsize=9)
        figure.supylabel("cycles, relative to the dense tile", fontsize=9)
        marks = [
            Line2D([], [], color=colour, marker="s" if "EIE" in name else "o", markersize=4, label=name)
            for name, colour in zip(names, _COLOURS * 2, strict=False)
        ]
        figure.legend(handles=marks, loc="outside upper center", ncols=3)
        with replacing(path) as unfinished:
            figure.savefig(unfinished, dpi=150, format="png")
