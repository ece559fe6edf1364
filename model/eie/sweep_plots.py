"""The plots of the sweeps: the EIE paper's figures with this design."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

from zeroskip.model.eie.paper_layers import PAPER_LAYERS
from zeroskip.model.plot_style import STYLE

Result = dict[str, Any]
"""The result of zeroskip.model.eie.sweeps.sweep."""

# A network has a colour (Okabe and Ito's, which the colour-blind tell apart), its layers a marker and a dash each.
_COLOURS = {"Alex": "#0072b2", "VGG": "#d55e00", "NT": "#009e73"}
_MARKS = (("o", "-"), ("s", "--"), ("^", ":"))
_PAPER = "#555555"
_STYLE = {**STYLE, "lines.linewidth": 1.4, "lines.markersize": 4.5, "svg.hashsalt": "zeroskip"}
_STYLES: dict[str, Any] = {
    layer.name: {
        "color": _COLOURS[layer.name.split("-")[0]],
        "marker": _MARKS[index % 3][0],
        "linestyle": _MARKS[index % 3][1],
    }
    for index, layer in enumerate(PAPER_LAYERS)
}


def layer_names(result: Result) -> list[str]:
    return [layer["layer"] for layer in result["layers"]]


def gain(result: Result) -> float:
    """Throughput of 256 PEs over that of 64, geometric mean."""
    cycles = {row["pes"]: row["cycles"] for row in result["geomean"]["pes"]}
    return cycles[64] / cycles[256]


def _lines(axes: Axes, result: Result, sweep: str, field: str) -> None:
    """A line for each layer, and the geometric mean; the size that the sweep varies is in octaves."""
    for name in layer_names(result):
        rows = [row for row in result[sweep] if row["layer"] == name]
        axes.plot([row[sweep] for row in rows], [row[field] for row in rows], label=name, **_STYLES[name])
    mean = result["geomean"][sweep]
    axes.plot(
        [row[sweep] for row in mean],
        [row[field] for row in mean],
        color="#333333",
        linewidth=3,
        alpha=0.55,
        zorder=1.5,
        label="geometric mean",
    )
    axes.set_xscale("log", base=2)
    axes.set_xticks([row[sweep] for row in mean], [str(row[sweep]) for row in mean])
    axes.xaxis.set_minor_locator(NullLocator())


def _legend(figure: Figure, axes: Axes, *extra: Line2D) -> None:
    handles, _ = axes.get_legend_handles_labels()
    figure.legend(handles=[*handles, *extra], loc="outside right upper", handlelength=3.2, labelspacing=0.7)


def _fraction(axes: Axes, label: str) -> None:
    axes.set_ylim(0, 1.04)
    axes.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.set_ylabel(label)


def _paper_note(axes: Axes, text: str, at: tuple[float, float], **where: Any) -> None:
    """Writes a statement of the paper's text at a place in the axes' own coordinates."""
    axes.text(*at, f"paper: {text}", transform=axes.transAxes, color=_PAPER, style="italic", **where)


def _depth(result: Result) -> Figure:
    figure = Figure(figsize=(9.2, 4.2), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=(2.1, 1))
    _lines(left, result, "queue_depth", "utilisation")
    _fraction(left, "cycles spent on weights (load balance)")
    left.set_xlabel("queue depth (columns)")
    left.set_title(f"{result['fixed']['pes']} PEs, this design")
    left.plot([1], [0.5], "x", color="black", markersize=9, markeredgewidth=2)
    _paper_note(left, "at depth 1 about half of all cycles\nare idle; little is gained beyond 8", (0.3, 0.04))

    names = layer_names(result)
    depth = result["fixed"]["queue_depth"]
    ours = {row["layer"]: row["utilisation"] for row in result["queue_depth"] if row["queue_depth"] == depth}
    for place, layer in enumerate(result["layers"]):
        theirs = layer["paper_theoretical_us"] / layer["paper_actual_us"]
        mine = ours[layer["layer"]]
        right.plot([mine, theirs], [place, place], color="#bbbbbb", zorder=1)
        right.plot([mine], [place], "o", color=_STYLES[layer["layer"]]["color"], markersize=6)
        right.plot([theirs], [place], "x", color="black", markersize=6, markeredgewidth=1.6)
    right.set_yticks(range(len(names)), names)
    right.invert_yaxis()
    right.set_xlim(0.5, 1)
    right.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    right.set_xlabel("load balance")
    right.set_title(f"depth {depth}: beside Table IV")
    _legend(
        figure,
        left,
        Line2D([], [], color="black", marker="x", linestyle="", markeredgewidth=1.6, label="paper"),
        Line2D([], [], color=_PAPER, marker="o", linestyle="", label="this design"),
    )
    return figure


def _words(result: Result) -> Figure:
    figure = Figure(figsize=(9.2, 3.9), layout="constrained")
    left, right = figure.subplots(1, 2)
    for axes, field, unit, name in ((left, "reads", 1e3, "thousand words"), (right, "bits_read", 1e6, "Mbit")):
        _lines(axes, result, "word_bits", field)
        axes.set_yscale("log")
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _, unit=unit: f"{value / unit:g}"))
        axes.yaxis.set_minor_locator(NullLocator())
        axes.set_xlabel("width of a word (bits)")
        axes.set_ylabel(f"{name} read for one input vector")
        axes.axvline(64, color=_PAPER, linestyle=(0, (1, 1.5)), linewidth=1.4)
        axes.margins(y=0.14)
    left.set_title("reads: energy, if any width costs the same")
    right.set_title("bits: energy, if each bit costs the same")
    _paper_note(left, "least energy at 64 bits", (0.3, 0.97), va="top")
    _paper_note(right, "least energy at 64 bits", (0.3, 0.03))
    _legend(figure, left)
    return figure


def _speedup(result: Result) -> Figure:
    figure = Figure(figsize=(7.6, 4.6), layout="constrained")
    axes = figure.subplots()
    _lines(axes, result, "pes", "speedup")
    pes = [row["pes"] for row in result["geomean"]["pes"]]
    axes.plot(pes, pes, color="#999999", linewidth=1, label="linear", zorder=0)
    axes.set_yscale("log", base=2)
    axes.set_yticks(pes, [str(n) for n in pes])
    axes.yaxis.set_minor_locator(NullLocator())
    axes.set_xlabel("processing elements")
    axes.set_ylabel("speed-up over one PE of this design")
    axes.set_title(f"queues of {result['fixed']['queue_depth']} columns")
    text = "nearly linear but for NT-We; 256 PEs\nhave 3.25 times the throughput of 64"
    _paper_note(axes, text, (0.03, 0.97), va="top")
    axes.text(0.03, 0.84, f"this design: {gain(result):.2f} times (geometric mean)", transform=axes.transAxes, va="top")
    _legend(figure, axes)
    return figure


def _padding(result: Result) -> Figure:
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = figure.subplots()
    _lines(axes, result, "pes", "real_work")
    _fraction(axes, "weights of all entries read (the rest is padding)")
    axes.set_xlabel("processing elements")
    axes.set_title(f"{result['fixed']['index_bits']}-bit counts of zeros")
    _paper_note(axes, "rises with the number of PEs", (0.03, 0.04))
    _legend(figure, axes)
    return figure


def _balance(result: Result) -> Figure:
    figure = Figure(figsize=(7.6, 4.2), layout="constrained")
    axes = figure.subplots()
    _lines(axes, result, "pes", "utilisation")
    _fraction(axes, "cycles spent on weights (load balance)")
    axes.set_xlabel("processing elements")
    axes.set_title(f"queues of {result['fixed']['queue_depth']} columns")
    _paper_note(axes, "falls with the number of PEs", (0.03, 0.04))
    _legend(figure, axes)
    return figure


def _storage(result: Result) -> Figure:
    names = layer_names(result)
    columns = min(3, len(names))
    figure = Figure(figsize=(9.2, 1 + 2 * -(-len(names) // columns)), layout="constrained")
    grid = figure.subplots(-(-len(names) // columns), columns, squeeze=False).flat
    parts = (
        ("weights_bits", "weights", "#0072b2"),
        ("padding_bits", "padding entries", "#e69f00"),
        ("pointers_bits", "column pointers", "#999999"),
    )
    for axes, name in zip(grid, names, strict=False):
        rows = [row for row in result["index_bits"] if row["layer"] == name]
        bits, base = [row["index_bits"] for row in rows], [0.0] * len(rows)
        for field, label, colour in parts:
            height = [row[field] / 1e6 for row in rows]
            axes.bar(bits, height, bottom=base, color=colour, label=label, width=0.75)
            base = [a + b for a, b in zip(base, height, strict=True)]
        least = min(range(len(rows)), key=lambda index: base[index])
        axes.plot([bits[least]], [base[least] + 0.08 * max(base)], "kv", markersize=5)
        axes.set_ylim(0, 1.12 * max(base))
        axes.set_title(name)
        axes.grid(visible=False, axis="x")
        axes.set_xticks(bits)
    for axes in list(grid):
        axes.set_visible(False)
    figure.supxlabel("bits of the count of zeros (the paper: 4)", fontsize=9)
    figure.supylabel("Mbit", fontsize=9)
    handles, _ = figure.axes[0].get_legend_handles_labels()
    least_mark = Line2D([], [], color="black", marker="v", linestyle="", label="least")
    figure.legend(handles=[*handles, least_mark], loc="outside upper center", ncols=4)
    return figure


FIGURES: dict[str, Callable[[Result], Figure]] = {
    "figure-08-queue-depth": _depth,
    "figure-09-word-width": _words,
    "figure-11-speed-up": _speedup,
    "figure-12-padding": _padding,
    "figure-13-load-balance": _balance,
    "index-bits": _storage,
}


def write_plots(result: Result, folder: Path) -> list[Path]:
    """Writes each figure as SVG into `folder`; the same result makes the same files."""
    written = []
    with matplotlib.rc_context(_STYLE):
        for name, draw in FIGURES.items():
            written.append(folder / f"{name}.svg")
            # matplotlib's own tags name the day and its version.
            draw(result).savefig(written[-1], metadata={"Date": None, "Creator": None})
    return written
