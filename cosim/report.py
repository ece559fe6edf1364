"""The report on one run of a compiled network: a single HTML page that needs nothing else to be read.

The frame and the style stand in report.html. Charts are HTML and inline SVG that stretch to the width of the
screen while their labels keep their size; the one picture, the heat map, is a PNG inside the page.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from itertools import pairwise
from pathlib import Path
from string import Template

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.image import imsave
from numpy.typing import NDArray

from zeroskip.cosim.eie.play import ACTIVITIES, EieRun
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.format import entry_rows
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.model.eie.storage import storage
from zeroskip.model.files import replacing

HEAT_COLUMNS = 1000
"""Columns of the heat map at most, so that the page of a long run stays small."""

COLOUR_MAP = "viridis"

STEPS = {
    "dense": "the network as it was trained",
    "pruned": "with its weak weights removed",
    "shared": "with the few values that all weights of a layer share",
    "golden": "what the hardware computes, in 16-bit fixed point, by its integer model",
    "hardware": "what the simulated hardware computed, in 16-bit fixed point",
}

MEANINGS = {
    "busy": "multiplying a weight",
    "padding": "passing a word that holds padding alone",
    "stalled": "waiting while some full queue holds up the broadcast",
    "starved": "waiting for the next non-zero activation",
    "draining": "waiting for the other PEs and the pipelines at the end of a layer",
}


@dataclass(frozen=True, kw_only=True)
class LayerFigures:
    """What the memories hold of one layer. `entries` are `kept` weights, `biases` and `padding` together."""

    inputs: int
    outputs: int
    starts: int
    """How many times an image runs it: a convolution once for each position."""
    weights: int
    kept: int
    biases: int
    padding: int
    shared: int
    """Codebook values in use, zero not counted."""

    @property
    def entries(self) -> int:
        return self.kept + self.biases + self.padding


def layer_figures(network: EieNetwork) -> list[LayerFigures]:
    figures = []
    for index, layer in enumerate(network.layers):
        columns = network.columns(index)
        real = columns.codes != 0
        bias = real & (entry_rows(columns)[1] % columns.columns >= layer.inputs)
        figures.append(
            LayerFigures(
                inputs=layer.inputs,
                outputs=layer.outputs,
                starts=network.starts[index],
                weights=network.weight_counts[index],
                kept=int(real.sum() - bias.sum()),
                biases=int(bias.sum()),
                padding=int(len(real) - real.sum()),
                shared=len(np.unique(columns.codes[real])),
            )
        )
    return figures


def bin_levels(levels: NDArray[np.uint16], limit: int) -> tuple[NDArray[np.uint16], int]:
    """The greatest level in each of at most `limit` bins of cycles (bins x pes), and the cycles of a bin.

    The last bin may cover fewer cycles.
    """
    size = max(1, -(-len(levels) // limit))
    return np.maximum.reduceat(levels, np.arange(0, len(levels), size), axis=0), size


def write_report(
    path: Path,
    *,
    title: str,
    network: EieNetwork,
    run: EieRun,
    mismatches: int,
    accuracy: dict[str, float] | None,
    facts: dict[str, str],
) -> None:
    """Writes the page; a file that stood there is replaced whole or not at all.

    `accuracy` maps steps of the flow (see STEPS) to fractions of one, in order; where it is None the section
    is left out. `facts` are further rows of the summary. The same
    arguments give the same bytes. Raises ValueError where the run holds no image.
    """
    if len(run.cycles) == 0:
        raise ValueError("a report needs a run of at least one image, not of none")
    figures = layer_figures(network)
    sections = [
        _summary(title, network, run, mismatches, figures, facts),
        _accuracy(accuracy) if accuracy else "",
        _layers(network.geometry, run, figures),
        _activity(run.activity),
        _queues(network.geometry, run),
        _storage(network),
    ]
    template = Template(Path(__file__).with_name("report.html").read_text(encoding="utf-8"))
    page = template.substitute(title=escape(title), body="\n".join(sections))
    with replacing(path) as part:
        part.write_text(page, encoding="utf-8")


def _summary(
    title: str,
    network: EieNetwork,
    run: EieRun,
    mismatches: int,
    figures: list[LayerFigures],
    facts: dict[str, str],
) -> str:
    images, pes = len(run.cycles), network.geometry.pes
    kept, weights = sum(layer.kept for layer in figures), sum(layer.weights for layer in figures)
    sizes = storage(network)
    tiles = [_tile("Images", f"{images:,}", "run on the simulated hardware")]
    note = "outputs differ from the integer model's" if mismatches else "every output equals the integer model's"
    tiles.append(_tile("Mismatches", f"{mismatches:,}", note, kind="bad" if mismatches else "good"))
    least, most = int(run.cycles.min()), int(run.cycles.max())
    tiles += [
        _tile("Mean cycles per image", f"{run.cycles.mean():,.1f}", f"from {least:,} to {most:,}"),
        _tile("Utilisation", _percent(run.utilisation), "busy cycles / (PEs x all cycles)"),
        _tile("Weights kept", _percent(kept / weights), f"{kept:,} of {weights:,}"),
        _tile("Storage ratio", f"{sizes.ratio:.1f}x", "smaller than as dense 32-bit floats"),
    ]
    plural = "s" if pes > 1 else ""
    return (
        f"<h1>{escape(title)}</h1>\n"
        f'<p class="soft">A pruned network on an EIE array of {pes} processing element{plural} (PE{plural}): '
        "hardware that stores only the weights that remain, and works only on activations that are not zero. "
        "All cycles on this page were counted in a simulation of the hardware description (RTL).</p>\n"
        f'<div class="tiles">{"".join(tiles)}</div>\n' + _facts(facts)
    )


def _facts(facts: dict[str, str]) -> str:
    if not facts:
        return ""
    rows = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in facts.items())
    return f'<section><h2>This run</h2><table class="facts"><tbody>{rows}</tbody></table></section>'


def _accuracy(accuracy: dict[str, float]) -> str:
    first = next(iter(accuracy.values()))
    bars: list[str] = []
    rows: list[list[str]] = []
    for name, value in accuracy.items():
        bars.append(_bar(name, [("busy", value)], _percent(value, 2)))
        change = f"{100 * (value - first):+.2f}" if rows else ""
        rows.append([name, _percent(value, 2), change, STEPS.get(name, "")])
    return _section(
        "Accuracy at each step",
        "How many of the images are classified correctly after each step from the trained network to the "
        "hardware. A good compression costs next to nothing from the first row to the last.",
        _bars(bars, "Share of images classified correctly, in percent; a full bar is 100%."),
        _table(["Step", "Accuracy", "Change, percentage points", "What it is"], rows, worded=True),
    )


def _layers(geometry: EieGeometry, run: EieRun, figures: list[LayerFigures]) -> str:
    means = run.layer_cycles.mean(axis=0)
    shares = means / max(1, means.sum())
    scale = max(1, int(run.layer_cycles.max()))
    outside = run.cycles.mean() - means.sum()
    convolution = any(layer.starts > 1 for layer in figures)
    windows = (
        "; a convolution is started once for each position, and what the host does for it is not counted"
        if convolution
        else ""
    )
    rows, bars = [], []
    for index, layer in enumerate(figures):
        shape = f"{layer.inputs:,} x {layer.outputs:,}"
        if layer.starts > 1:
            shape += f" (x {layer.starts:,})"
        rows.append(
            [
                f"layer {index}",
                shape,
                f"{layer.weights:,}",
                f"{layer.kept:,}",
                _percent(layer.kept / layer.weights),
                f"{layer.biases:,}",
                f"{layer.padding:,}",
                f"{layer.entries:,}",
                f"{layer.shared} of {geometry.codebook_size - 1}",
                f"{means[index]:,.1f}",
                _percent(shares[index]),
            ]
        )
        least, most = (int(bound(run.layer_cycles[:, index])) for bound in (np.min, np.max))
        whisker = (least / scale, most / scale)
        bars.append(_bar(f"layer {index}", [("busy", means[index] / scale)], f"{means[index]:,.1f}", whisker))
    total = [
        "all",
        "",
        *(f"{sum(getattr(layer, name) for layer in figures):,}" for name in ("weights", "kept")),
        _percent(sum(layer.kept for layer in figures) / sum(layer.weights for layer in figures)),
        *(f"{sum(getattr(layer, name) for layer in figures):,}" for name in ("biases", "padding", "entries")),
        "",
        f"{means.sum():,.1f}",
        _percent(shares.sum()),
    ]
    heads = [
        "Layer",
        "Inputs x outputs (x positions)" if convolution else "Inputs x outputs",
        "Weights",
        "Kept",
        "Density",
        "Bias entries",
        "Padding entries",
        "Entries, all",
        "Codebook values used",
        "Cycles per image, mean",
        "Share of cycles",
    ]
    return _section(
        "Layers",
        "What pruning left of each layer, and what it costs. An entry is one weight or bias in memory; "
        f"padding entries bridge gaps of more than {(1 << geometry.index_bits) - 1} zeros. The weights of a "
        "layer share the few values of its codebook, so that an entry stores only the number of a value.",
        _table(heads, rows, total),
        _bars(
            bars,
            "Mean cycles per image. The thin line spans the fastest and the slowest image. "
            f"Outside of its layers, an image takes {outside:.3g} more from start to done{windows}.",
        ),
    )


def _activity(activity: NDArray[np.int64]) -> str:
    pes = len(activity)
    shares = activity / np.maximum(1, activity.sum(axis=1, keepdims=True))
    height, gap = _row_pixels(pes), 0.15 if _row_pixels(pes) >= 8 else 0.0
    groups, rows = [], []
    for pe in range(pes):
        texts = [_percent(share) for share in shares[pe]]
        rows.append([f"PE {pe}", *texts])
        edges = 100 * np.concatenate([[0], np.cumsum(shares[pe])])
        rects = "".join(
            f'<rect class="{name}" x="{edges[index]:.3f}" y="{pe + gap / 2:g}" '
            f'width="{edges[index + 1] - edges[index]:.3f}" height="{1 - gap:g}"/>'
            for index, name in enumerate(ACTIVITIES)
            if activity[pe, index]
        )
        words = ", ".join(f"{name} {text}" for name, text in zip(ACTIVITIES, texts, strict=True))
        groups.append(f"<g><title>PE {pe}: {words}</title>{rects}</g>")
    overall = [_percent(share) for share in _share(activity)]
    legend = "".join(
        f'<li><i class="{name}"></i>{name} {share} <span>{MEANINGS[name]}</span></li>'
        for name, share in zip(ACTIVITIES, overall, strict=True)
    )
    svg = (
        f'<svg viewBox="0 0 100 {pes}" preserveAspectRatio="none" role="img" '
        f'aria-label="Share of the cycles of each PE">{"".join(groups)}</svg>'
    )
    ticks = [(percent / 100, f"{percent}%") for percent in range(0, 101, 25)]
    return _section(
        "Where the cycles of each PE went",
        "One bar for each PE, over all images. The more of it is busy, the better the hardware is used; "
        "the rest is waiting or waste. The figures here are those of all PEs together.",
        f'<ul class="legend listed">{legend}</ul>',
        _plot(pes * height, _pe_rows(pes), svg, ticks, "Share of all cycles, in percent"),
        f"<details><summary>The same as a table, in percent of all cycles</summary>"
        f"{_table(['PE', *ACTIVITIES], rows, ['all', *overall])}</details>",
    )


def _queues(geometry: EieGeometry, run: EieRun) -> str:
    cycles, pes = run.queue_levels.shape
    if cycles == 0:
        return ""
    # Of a convolution the first position is shown.
    several = len(run.stage_outputs) > 1
    span_name = "the first image" + (", at its first position in each layer" if several else "")
    depth = geometry.queue_depth
    levels, size = bin_levels(run.queue_levels, HEAT_COLUMNS)
    span = len(levels) * size

    # Cells of several pixels stay crisp while the browser smooths what it must make smaller.
    pixels = levels.T.repeat(_row_pixels(pes), axis=0).repeat(max(1, HEAT_COLUMNS // len(levels)), axis=1)
    png = io.BytesIO()
    # matplotlib's own tag names its version, and the same run shall make the same page.
    imsave(png, pixels, vmin=0, vmax=depth, cmap=COLOUR_MAP, format="png", metadata={"Software": "zeroskip"})
    image = (
        f'<img alt="Queue levels, PEs by cycles" src="data:image/png;base64,'
        f'{base64.b64encode(png.getvalue()).decode()}">'
    )
    starts = np.flatnonzero(np.diff(run.layer_trace)) + 1
    lines = "".join(f'<b style="left:{100 * start / span:.3f}%"></b>' for start in starts)
    edges = [0, *starts.tolist(), cycles]
    names = ""
    for begin, end in pairwise(edges):
        layer = run.layer_trace[begin]
        names += (
            f'<span style="left:{100 * begin / span:.3f}%;width:{100 * (end - begin) / span:.3f}%" '
            f'title="layer {layer}: cycles {begin:,} to {end - 1:,}">{layer}</span>'
        )
    ticks = [(cycle / span, f"{cycle:,}") for cycle in _round_ticks(cycles)]
    colours = matplotlib.colormaps[COLOUR_MAP](np.linspace(0, 1, 9))
    ramp = ", ".join(to_hex(colour) for colour in colours)
    binned = (
        f" Each column of the picture stands for {size} cycles and shows the greatest level in them."
        if size > 1
        else " Each column of the picture is one cycle."
    )
    full = np.any(run.queue_levels >= depth, axis=1).mean()
    return _section(
        "Queues in front of the PEs",
        f"How many matrix columns wait in front of each PE in each cycle of {span_name}, recorded from "
        "the RTL. Dark rows are PEs that run out of work, bright ones are PEs that the others wait for; "
        f"vertical lines mark where a layer ends and the next begins.{binned}",
        '<div class="ramp"><span>Columns waiting: 0</span>'
        f'<i style="background:linear-gradient(90deg, {ramp})"></i>'
        f"<span>{depth} (full)</span></div>",
        _plot(
            pes * _row_pixels(pes),
            _pe_rows(pes),
            image + lines,
            ticks,
            f"Cycles of {span_name}",
            f'<div class="side">layer</div><div class="spans">{names}</div>',
        ),
        f'<p class="caption">On average {run.queue_levels.mean():.2f} columns wait in front of a PE; in '
        f"{_percent(full)} of the {cycles:,} cycles at least one queue is full.</p>",
    )


def _storage(network: EieNetwork) -> str:
    sizes = storage(network)
    parts = {
        "entries": "Entries (weights and padding)",
        "pointers": "Column pointers",
        "codebooks": "Codebooks",
    }
    scale = max(sizes.dense, sizes.image)
    bars = [
        _bar("Dense floats", [("dense", sizes.dense / scale)], f"{_bytes(sizes.dense)} bytes"),
        _bar(
            "Memory image",
            [(name, getattr(sizes, name) / scale) for name in parts],
            f"{_bytes(sizes.image)} bytes",
        ),
    ]

    def row(text: str, size: int) -> list[str]:
        return [text, _bytes(size), _percent(size / sizes.image), _percent(size / sizes.dense, 2)]

    dense_row = ["Dense floats", _bytes(sizes.dense), "", _percent(1, 2)]
    legend = "".join(f'<li><i class="{name}"></i>{text}</li>' for name, text in parts.items())
    geometry = network.geometry
    return _section(
        "Storage",
        "What the compiled network takes in the memories of the array, against all weights and biases of the "
        f"dense network as 32-bit floats: {sizes.ratio:.2f} times less. An entry has {geometry.entry_bits} "
        f"bits, and whole words of {geometry.entries_per_word} are counted; a pointer has "
        f"{geometry.pointer_bits} bits, a codebook value {VALUE_BITS}.",
        f'<ul class="legend"><li><i class="dense"></i>Dense floats</li>{legend}</ul>',
        _bars(bars, "Size in bytes, both bars to the same scale."),
        _table(
            ["Layer", "Bytes", "Share of the image", "Share of the dense size"],
            [dense_row, *(row(text, getattr(sizes, name)) for name, text in parts.items())],
            row("Memory image", sizes.image),
        ),
    )


def _share(activity: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each activity's share of the cycles of all PEs."""
    return activity.sum(axis=0) / max(1, int(activity.sum()))


def _percent(fraction: float, digits: int = 1) -> str:
    return f"{100 * fraction:,.{digits}f}%"


def _bytes(bits: int) -> str:
    """Exact, so that the parts add up: eighths of a byte are shown where there are any."""
    return f"{bits / 8:,.3f}".rstrip("0").rstrip(".")


def _round_ticks(cycles: int) -> range:
    """At most six round numbers from zero up to `cycles`."""
    power = 10 ** max(0, len(str(cycles)) - 2)
    step = next(step for step in (factor * power for factor in (1, 2, 5, 10, 20)) if cycles / step < 6)
    return range(0, cycles + 1, step)


def _row_pixels(pes: int) -> int:
    return min(28, max(3, 512 // pes))


def _pe_rows(pes: int) -> list[tuple[float, str]]:
    """Labels of the rows of a chart, as many as there is room for."""
    step = -(-14 // _row_pixels(pes))
    step = 1 << (step - 1).bit_length()
    return [((pe + 0.5) / pes, f"PE {pe}") for pe in range(0, pes, step)]


def _section(heading: str, explanation: str, *parts: str) -> str:
    return f"<section><h2>{escape(heading)}</h2><p>{escape(explanation)}</p>\n{''.join(parts)}</section>"


def _tile(name: str, figure: str, note: str, kind: str = "") -> str:
    return (
        f'<div class="tile {kind}"><div class="name">{escape(name)}</div>'
        f'<div class="figure">{escape(figure)}</div><div class="note">{escape(note)}</div></div>'
    )


def _table(
    heads: Sequence[str],
    rows: Iterable[Sequence[str]],
    total: Sequence[str] | None = None,
    *,
    worded: bool = False,
) -> str:
    """A table of figures named in the first column; where `worded` the last column holds text."""

    def cells(row: Sequence[str]) -> str:
        return f'<th scope="row">{escape(row[0])}</th>' + "".join(f"<td>{escape(cell)}</td>" for cell in row[1:])

    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in heads)
    body = "".join(f"<tr>{cells(row)}</tr>\n" for row in rows)
    if total is not None:
        body += f'<tr class="total">{cells(total)}</tr>'
    kind = ' class="worded"' if worded else ""
    return f'<div class="scroll"><table{kind}><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _bar(
    name: str,
    parts: Sequence[tuple[str, float]],
    value: str,
    whisker: tuple[float, float] | None = None,
) -> str:
    """A bar of `parts`, each a style class and a fraction of the full width."""
    fills = "".join(f'<i class="{kind}" style="width:{100 * share:.3f}%"></i>' for kind, share in parts)
    if whisker is not None:
        low, high = whisker
        fills += f'<b style="left:{100 * low:.3f}%;width:{100 * (high - low):.3f}%"></b>'
    return (
        f'<div><span class="name">{escape(name)}</span><span class="track">{fills}</span>'
        f'<span class="value">{escape(value)}</span></div>'
    )


def _bars(bars: Sequence[str], caption: str) -> str:
    return f'<div class="bars">{"".join(bars)}</div><p class="caption">{escape(caption)}</p>'


def _plot(
    height: int,
    rows: Sequence[tuple[float, str]],
    area: str,
    ticks: Sequence[tuple[float, str]],
    unit: str,
    above: str = "",
) -> str:
    """A chart with a row for each PE: labels stand outside `area`, which stretches, and keep their size."""
    row_labels = "".join(f'<span style="top:{100 * place:.3f}%">{label}</span>' for place, label in rows)
    tick_labels = "".join(f'<span style="left:{100 * place:.3f}%">{label}</span>' for place, label in ticks)
    return (
        f'<div class="plot">{above or "<div></div><div></div>"}<div class="rows">{row_labels}</div>'
        f'<div class="area" style="height:{height}px">{area}</div>'
        f'<div class="ticks">{tick_labels}</div><div class="unit">{escape(unit)}</div></div>'
    )
