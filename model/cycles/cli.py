"""Commands of the cycle models: `zeroskip sweep eie`, which redraws the EIE paper's figures with this design."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import matplotlib
import typer
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator, PercentFormatter

from model import options
from model.console import progress_bar, show
from model.cycles.sweeps import steps, sweep
from model.data.paper_layers import PAPER_LAYERS, PaperLayer

Result = dict[str, Any]

CLOCK_MHZ = 800
"""The paper's clock, at which cycles become the microseconds of its Table IV."""

_ALL_LAYERS = ",".join(layer.name for layer in PAPER_LAYERS)

# A network has a colour (Okabe and Ito's, which the colour-blind tell apart), its layers a marker and a dash each.
_COLOURS = {"Alex": "#0072b2", "VGG": "#d55e00", "NT": "#009e73"}
_MARKS = (("o", "-"), ("s", "--"), ("^", ":"))
_PAPER = "#555555"
_STYLE: dict[Any, Any] = {
    "font.size": 9,
    "axes.titlesize": 9.5,
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": "#dddddd",
    "grid.linewidth": 0.6,
    "legend.frameon": False,
    "lines.linewidth": 1.4,
    "lines.markersize": 4.5,
    "svg.hashsalt": "zeroskip",
}
_STYLES: dict[str, Any] = {
    layer.name: {
        "color": _COLOURS[layer.name.split("-")[0]],
        "marker": _MARKS[index % 3][0],
        "linestyle": _MARKS[index % 3][1],
    }
    for index, layer in enumerate(PAPER_LAYERS)
}


def _names(result: Result) -> list[str]:
    return [layer["layer"] for layer in result["layers"]]


def _lines(axes: Axes, result: Result, sweep: str, field: str) -> None:
    """A line for each layer, and the geometric mean; the size that the sweep varies is in octaves."""
    for name in _names(result):
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
    """What the paper's text says, in the axes' own coordinates."""
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

    names = _names(result)
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
    axes.text(
        0.03, 0.84, f"this design: {_gain(result):.2f} times (geometric mean)", transform=axes.transAxes, va="top"
    )
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
    names = _names(result)
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


def _gain(result: Result) -> float:
    """Throughput of 256 PEs over that of 64, geometric mean."""
    cycles = {row["pes"]: row["cycles"] for row in result["geomean"]["pes"]}
    return cycles[64] / cycles[256]


def _table(result: Result) -> str:
    lines = ["| layer | size | cycles | us at 800 MHz | paper: actual | paper: theoretical | load balance |"]
    lines += ["|---|---:|---:|---:|---:|---:|---:|"]
    rows = {row["layer"]: row for row in result["pes"] if row["pes"] == result["fixed"]["pes"]}
    for layer in result["layers"]:
        row = rows[layer["layer"]]
        cells = (
            f"{layer['inputs']} -> {layer['outputs']}",
            f"{row['cycles']:,}",
            f"{row['cycles'] / CLOCK_MHZ:.1f}",
            f"{layer['paper_actual_us']:.1f}",
            f"{layer['paper_theoretical_us']:.1f}",
            f"{row['utilisation']:.1%}",
        )
        lines.append(f"| {layer['layer']} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _least_storage(result: Result) -> str:
    """The width at which each layer takes the least bits."""
    best: dict[int, list[str]] = {}
    for name in _names(result):
        rows = [row for row in result["index_bits"] if row["layer"] == name]
        best.setdefault(min(rows, key=lambda row: row["total_bits"])["index_bits"], []).append(name)
    return "; ".join(f"{bits} for {', '.join(best[bits])}" for bits in sorted(best))


def _bound(result: Result) -> str:
    """Which layers have too few weights in a column to keep all PEs busy at one broadcast a cycle."""
    pes = max(row["pes"] for row in result["pes"])
    weights = {layer["layer"]: layer["work"] / layer["active_columns"] for layer in result["layers"]}
    bound = ", ".join(f"{name} {weights[name]:.0f}" for name in weights if weights[name] < pes)
    return bound or f"here {pes} or more"


PAGE = """# Sweeps of the EIE array

Written by `zeroskip sweep eie{options}`, not by hand; the data are in [sweeps.json]({folder}/sweeps.json).

Figures 8, 9, 11, 12 and 13 of the EIE paper (Han et al., ISCA 2016) drawn again with this design. All cycles come from
`model.cycles.eie`, which the co-simulation holds to the RTL. What a sweep does not vary is the paper's: {pes} PEs,
queues of {depth} columns, words of {word} bits, {index}-bit counts of zeros.

- **This design's** are all lines, dots and bars. The layers have the sizes and densities of the paper's Table III.
  Their weights and activations are random (seed {seed}), each there or not independently of the others; the paper's own
  were never published. Rows go to the PEs in turn, as in the paper. Layers of one density and height, such as Alex-6
  and Alex-7, nearly lie on one line.
- **The paper's** are the crosses and what is marked *paper*, out of its text and its Table IV. The heights of its bars
  are in neither, so they are not drawn.
- Load balance is work over PEs times cycles here, where work is one weight of a column whose activation is not zero.
  In the paper it is one less the fraction of idle cycles, and padding entries are work. Here they are none, and mostly
  cost no cycle.

## As built

One input vector on {pes} PEs. The clock of 800 MHz is the paper's: the microseconds compare the cycles, and are no
claim about how fast this design can be clocked.

{table}

## Figure 8: queue depth

![Load balance against queue depth]({folder}/figure-08-queue-depth.svg)

With queues of one column, {idle_1} of all cycles do no work (geometric mean); the paper says about half. Depth {depth}
brings load balance to {depth_built}, depth 256 to {depth_256}. The worst at depth {depth} is {worst}.
On the right, the crosses are theoretical over actual time in Table IV.

## Figure 9: word width

![Reads of the sparse-matrix memories against word width]({folder}/figure-09-word-width.svg)

The paper multiplies reads by the energy of a read and finds the least at 64 bits. Its energies (CACTI, 45 nm) are not
in its text, so the plots show the two extremes: a read that costs the same at any width, and one that costs as much as
it has bits. From 32 to 64 bits, reads fall by {reads_64} and bits grow by {bits_64}; from 64 to 128, reads fall by
{reads_128} and bits grow by {bits_128} (geometric means).
A PE reads each word that its entries of a column touch, and reads it again for the next column.

## Figure 11: speed-up

![Speed-up against processing elements]({folder}/figure-11-speed-up.svg)

Speed-up is over one PE of this design, which hardly loses a cycle to padding. It is {speedup_64} at 64 PEs and
{speedup_256} at 256 (geometric means): 256 PEs have {gain} times the throughput of 64, in the paper 3.25 times.
A column takes a cycle at least, so no more PEs are busy on average than a column has weights: {bound}.

## Figure 12: padding

![Weights of all entries read against processing elements]({folder}/figure-12-padding.svg)

More PEs have fewer rows each and shorter runs of zeros: of the entries read, {real_1} are weights at one PE, {real_64}
at 64 and {real_256} at 256 (geometric means). The paper's figure rises likewise; the format is the same.

## Figure 13: load balance

![Load balance against processing elements]({folder}/figure-13-load-balance.svg)

The fewer entries of a column a PE has, the less even they are: load balance is {balance_1} at one PE, {balance_64} at
64 and {balance_256} at 256 (geometric means). The paper's figure falls likewise; Table IV's crosses stand in figure 8.

## Index bits and storage

![Storage against index bits]({folder}/index-bits.svg)

Narrow counts of zeros cost padding entries, wide ones cost bits in every entry. With {code}-bit codes on {pes} PEs the
geometric mean is least at {least} bits, and the paper's 4 take {four} more. Least by layer: {least_each}.
Pointers are as wide as the sparse-matrix memory asks for, its words rounded up to a power of two.
"""


def page(result: Result, folder: str) -> str:
    """The page beside the plots, in Markdown; every figure in it is of `result`, or quoted from the paper."""
    fixed = result["fixed"]
    mean = {name: {row[name]: row for row in rows} for name, rows in result["geomean"].items()}
    depths, words, pes = mean["queue_depth"], mean["word_bits"], mean["pes"]
    bits = {width: row["total_bits"] for width, row in mean["index_bits"].items()}
    built = [row for row in result["queue_depth"] if row["queue_depth"] == fixed["queue_depth"]]
    worst = min(built, key=lambda row: row["utilisation"])
    least = min(bits, key=lambda width: bits[width])
    arguments = f" --seed {result['seed']}" if result["seed"] else ""
    if len(result["layers"]) < len(PAPER_LAYERS):
        arguments += f" --layers {','.join(_names(result))}"
    facts = {
        "idle_1": f"{1 - depths[1]['utilisation']:.0%}",
        "depth_built": f"{depths[fixed['queue_depth']]['utilisation']:.1%}",
        "depth_256": f"{depths[256]['utilisation']:.1%}",
        "worst": f"{worst['layer']} with {worst['utilisation']:.1%}",
        "gain": f"{_gain(result):.2f}",
        "bound": _bound(result),
        "least": least,
        "four": f"{bits[4] / bits[least] - 1:.1%}",
        "least_each": _least_storage(result),
    }
    for width in (64, 128):
        facts[f"reads_{width}"] = f"{1 - words[width]['reads'] / words[width // 2]['reads']:.0%}"
        facts[f"bits_{width}"] = f"{words[width]['bits_read'] / words[width // 2]['bits_read'] - 1:.0%}"
    for count in (1, 64, 256):
        facts[f"speedup_{count}"] = f"{pes[count]['speedup']:.1f}"
        facts[f"real_{count}"] = f"{pes[count]['real_work']:.1%}"
        facts[f"balance_{count}"] = f"{pes[count]['utilisation']:.1%}"
    return PAGE.format(
        options=arguments,
        folder=folder,
        seed=result["seed"],
        pes=fixed["pes"],
        depth=fixed["queue_depth"],
        word=fixed["word_bits"],
        index=fixed["index_bits"],
        code=fixed["code_bits"],
        table=_table(result),
        **facts,
    )


def _chosen(layers: str) -> list[PaperLayer]:
    """The layers of a list of names with commas, in the order of the paper's table."""
    known = {layer.name.lower(): layer for layer in PAPER_LAYERS}
    wanted = [name.strip() for name in layers.split(",")]
    if unknown := [name for name in wanted if name.lower() not in known]:
        raise ValueError(f"layers must be among {', '.join(x.name for x in PAPER_LAYERS)}, not {unknown[0]!r}")
    return [layer for layer in PAPER_LAYERS if layer.name.lower() in {name.lower() for name in wanted}]


def write(result: Result, output: Path) -> list[Path]:
    """Writes sweeps.json and the plots into `output`, and the page beside it, `output`.md."""
    output.mkdir(parents=True, exist_ok=True)
    written = [output / "sweeps.json"]
    written[0].write_text(_json(result))
    with matplotlib.rc_context(_STYLE):
        for name, draw in FIGURES.items():
            path = output / f"{name}.svg"
            # matplotlib's own tags name the day and its version, and the same figures shall make the same file.
            draw(result).savefig(path, metadata={"Date": None, "Creator": None})
            written.append(path)
    written.append(output.with_name(f"{output.name}.md"))
    written[-1].write_text(page(result, output.name))
    return written


def _json(result: Result) -> str:
    """JSON with a row a line, so that two versions can be compared."""
    fields = []
    for key, value in result.items():
        text = json.dumps(value)
        if isinstance(value, list):
            text = "[\n" + ",\n".join(f"  {json.dumps(row)}" for row in value) + "\n ]"
        fields.append(f" {json.dumps(key)}: {text}")
    return "{\n" + ",\n".join(fields) + "\n}\n"


def sweep_eie(
    layers: Annotated[
        str, typer.Option(metavar="NAME,...", help="Layers of the paper's Table III, with commas between them.")
    ] = _ALL_LAYERS,
    output: Annotated[
        Path, typer.Option(help="Folder for plots and data; the page stands beside it, under its name.")
    ] = Path("docs/sweeps"),
    processes: Annotated[
        int | None, typer.Option(min=1, help="Processes, 2 GB each. [default: one a core, at most 4]")
    ] = None,
    seed: options.Seed = 0,
    as_json: options.Json = False,
) -> None:
    """Redraw the EIE paper's figures 8, 9, 11, 12, 13 with this design, and storage against index bits.

    Queue depth 1 to 256, PEs 1 to 256, words of 32 to 512 bits, index bits 2 to 8: with the exact cycle model, on
    random layers of the paper's sizes and densities.
    """
    start = time.monotonic()
    chosen = _chosen(layers)
    # Before the minutes of work rather than after them.
    output.mkdir(parents=True, exist_ok=True)
    with progress_bar() as bar:
        task = bar.add_task("sweeps", total=steps(chosen))
        workers = processes or min(os.cpu_count() or 1, 4)
        result = sweep(chosen, seed=seed, processes=workers, advance=lambda: bar.advance(task))
    written = write(result, output)

    mean = result["geomean"]
    rows = [
        (f"load balance, queue depth {row['queue_depth']}", f"{row['utilisation']:.1%}") for row in mean["queue_depth"]
    ]
    rows += [(f"words read, {row['word_bits']} bits wide", f"{row['reads']:,.0f}") for row in mean["word_bits"]]
    rows += [(f"speed-up, {row['pes']} PEs", f"{row['speedup']:.1f}") for row in mean["pes"]]
    rows += [(f"Mbit, {row['index_bits']} index bits", f"{row['total_bits'] / 1e6:.1f}") for row in mean["index_bits"]]
    rows += [("written", str(path)) for path in written]
    summary = {**result, "written": [str(path) for path in written], "seconds": time.monotonic() - start}
    show(summary, rows, title=f"EIE, geometric means of {len(chosen)} layers", as_json=as_json)


def add_commands(app: typer.Typer) -> None:
    group = typer.Typer(help="Sweep a core's sizes with its exact cycle model.", no_args_is_help=True)
    group.command("eie")(sweep_eie)
    # A group of one command stays a group where it has a callback.
    group.callback()(lambda: None)
    app.add_typer(group, name="sweep")
