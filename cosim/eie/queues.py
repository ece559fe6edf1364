"""The heat map of the report: how full the queues in front of the PEs are, cycle by cycle."""

from __future__ import annotations

import base64
import io
from itertools import pairwise

import matplotlib
import numpy as np
from matplotlib.colors import to_hex
from matplotlib.image import imsave
from numpy.typing import NDArray

from zeroskip.cosim.eie.driver import EieRun
from zeroskip.cosim.report.blocks import percent, plot, section
from zeroskip.model.eie.geometry import EieGeometry

HEAT_COLUMNS = 1000
"""Columns of the heat map at most, so that the page stays small after a long run."""

COLOUR_MAP = "viridis"


def queues_section(geometry: EieGeometry, run: EieRun) -> str:
    cycles, pes = run.queue_levels.shape
    if cycles == 0:
        return ""
    # A convolution shows its first position.
    several = len(run.stage_outputs) > 1
    span_name = "the first image" + (", at its first position in each layer" if several else "")
    full = geometry.queue_full
    levels, size = bin_levels(run.queue_levels, HEAT_COLUMNS)
    span = len(levels) * size

    # Enlarged cells stay sharp when the browser scales the picture down.
    pixels = levels.T.repeat(row_pixels(pes), axis=0).repeat(max(1, HEAT_COLUMNS // len(levels)), axis=1)
    png = io.BytesIO()
    # Without this, matplotlib writes its version: the same run must give the same page.
    imsave(png, pixels, vmin=0, vmax=full, cmap=COLOUR_MAP, format="png", metadata={"Software": "zeroskip"})
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
        f" Each column of the picture shows the greatest level in {size} cycles."
        if size > 1
        else " Each column of the picture is one cycle."
    )
    full_cycles = np.any(run.queue_levels >= full, axis=1).mean()
    return section(
        "Queues in front of the PEs",
        f"How many matrix columns wait in front of each PE in each cycle of {span_name}, recorded from "
        "the RTL. Dark rows are PEs that run out of work; bright rows are PEs for which the others wait; "
        f"vertical lines mark where a layer ends and the next begins.{binned}",
        '<div class="ramp"><span>Columns waiting: 0</span>'
        f'<i style="background:linear-gradient(90deg, {ramp})"></i>'
        f"<span>{full} or more (full)</span></div>",
        plot(
            pes * row_pixels(pes),
            pe_rows(pes),
            image + lines,
            ticks,
            f"Cycles of {span_name}",
            f'<div class="side">layer</div><div class="spans">{names}</div>',
        ),
        f'<p class="caption">On average {run.queue_levels.mean():.2f} columns wait in front of a PE; in '
        f"{percent(full_cycles)} of the {cycles:,} cycles at least one queue is full.</p>",
    )


def bin_levels(levels: NDArray[np.uint16], limit: int) -> tuple[NDArray[np.uint16], int]:
    """The greatest level in each of at most `limit` bins of cycles (bins x pes), and the cycles of a bin.

    The last bin may cover fewer cycles.
    """
    size = max(1, -(-len(levels) // limit))
    return np.maximum.reduceat(levels, np.arange(0, len(levels), size), axis=0), size


def _round_ticks(cycles: int) -> range:
    """At most six round numbers from zero up to `cycles`."""
    power = 10 ** max(0, len(str(cycles)) - 2)
    step = next(step for step in (factor * power for factor in (1, 2, 5, 10, 20)) if cycles / step < 6)
    return range(0, cycles + 1, step)


def row_pixels(pes: int) -> int:
    return min(28, max(3, 512 // pes))


def pe_rows(pes: int) -> list[tuple[float, str]]:
    """Labels of the rows of a chart, as many as there is room for."""
    step = -(-14 // row_pixels(pes))
    step = 1 << (step - 1).bit_length()
    return [((pe + 0.5) / pes, f"PE {pe}") for pe in range(0, pes, step)]
