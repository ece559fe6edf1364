"""The EIE array's part of the report: layers, activity of the PEs, queues, storage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.eie.driver import EieRun
from zeroskip.cosim.eie.queues import pe_rows, queues_section, row_pixels
from zeroskip.cosim.eie.record import ACTIVITIES
from zeroskip.cosim.report.blocks import bar, bars, in_bytes, percent, plot, section, table, tile
from zeroskip.cosim.report.page import CoreSections
from zeroskip.cosim.verify import Verification
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.format import entry_rows
from zeroskip.model.eie.geometry import VALUE_BITS, EieGeometry
from zeroskip.model.eie.storage import storage

MEANINGS = {
    "busy": "multiplying a weight",
    "padding": "passing a word that holds only padding",
    "stalled": "waiting while some full queue holds up the broadcast",
    "starved": "waiting for the next non-zero activation",
    "draining": "waiting for the other PEs and the pipelines at the end of a layer",
}


@dataclass(frozen=True, kw_only=True)
class LayerFigures:
    """One layer in the memories. `entries` are `kept` weights and `biases`, each as many times as there are
    `positions`, and `padding`."""

    inputs: int
    outputs: int
    starts: int
    """How many times an image runs it: a convolution once for each tile of `positions` positions."""
    positions: int
    weights: int
    kept: int
    biases: int
    padding: int
    shared: int
    """Codebook values in use, zero not counted."""

    @property
    def entries(self) -> int:
        return (self.kept + self.biases) * self.positions + self.padding


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
                positions=(positions := network.together[index]),
                kept=int(real.sum() - bias.sum()) // positions,
                biases=int(bias.sum()) // positions,
                padding=int(len(real) - real.sum()),
                shared=len(np.unique(columns.codes[real])),
            )
        )
    return figures


def sections(verification: Verification) -> CoreSections:
    """The report's sections for a run on the array."""
    network, run = verification.network, verification.run
    pes, figures = network.geometry.pes, layer_figures(network)
    kept, weights = sum(layer.kept for layer in figures), sum(layer.weights for layer in figures)
    plural = "s" if pes > 1 else ""
    return CoreSections(
        introduction=f"A pruned network on an EIE array of {pes} processing element{plural} (PE{plural}): hardware "
        "that stores only the weights that remain, and works only on activations that are not zero.",
        utilisation="busy cycles / (PEs x all cycles)",
        tiles=[tile("Weights kept", percent(kept / weights), f"{kept:,} of {weights:,}")],
        sections=[
            _layers(network.geometry, run, figures),
            _activity(run.activity),
            queues_section(network.geometry, run),
            _storage(network),
        ],
    )


def _layers(geometry: EieGeometry, run: EieRun, figures: list[LayerFigures]) -> str:
    means = run.cycles.by_layer.mean(axis=0)
    shares = means / max(1, means.sum())
    scale = max(1, int(run.cycles.by_layer.max()))
    outside = run.cycles.totals.mean() - means.sum()
    convolution = any(layer.starts * layer.positions > 1 for layer in figures)
    windows = (
        "; a convolution is started once for each of its tiles of neighbouring positions, and what the host does for "
        "it is not counted"
        if convolution
        else ""
    )
    rows, drawn = [], []
    for index, layer in enumerate(figures):
        shape = f"{layer.inputs:,} x {layer.outputs:,}"
        if convolution:
            shape += f" (x {layer.starts:,})"
        rows.append(
            [
                f"layer {index}",
                shape,
                f"{layer.weights:,}",
                f"{layer.kept:,}",
                percent(layer.kept / layer.weights),
                f"{layer.biases:,}",
                f"{layer.padding:,}",
                *([f"{layer.positions}"] if convolution else []),
                f"{layer.entries:,}",
                f"{layer.shared} of {geometry.codebook_size - 1}",
                f"{means[index]:,.1f}",
                percent(shares[index]),
            ]
        )
        least, most = (int(bound(run.cycles.by_layer[:, index])) for bound in (np.min, np.max))
        whisker = (least / scale, most / scale)
        drawn.append(bar(f"layer {index}", [("busy", means[index] / scale)], f"{means[index]:,.1f}", whisker))
    total = [
        "all",
        "",
        *(f"{sum(getattr(layer, name) for layer in figures):,}" for name in ("weights", "kept")),
        percent(sum(layer.kept for layer in figures) / sum(layer.weights for layer in figures)),
        *(f"{sum(getattr(layer, name) for layer in figures):,}" for name in ("biases", "padding")),
        *([""] if convolution else []),
        f"{sum(layer.entries for layer in figures):,}",
        "",
        f"{means.sum():,.1f}",
        percent(shares.sum()),
    ]
    heads = [
        "Layer",
        "Inputs x outputs (x starts)" if convolution else "Inputs x outputs",
        "Weights",
        "Kept",
        "Density",
        "Bias entries",
        "Padding entries",
        *(["Positions in a start"] if convolution else []),
        "Entries, all",
        "Codebook values used",
        "Cycles per image, mean",
        "Share of cycles",
    ]
    return section(
        "Layers",
        "What pruning left of each layer, and what it costs. An entry is one weight or bias in memory; "
        f"padding entries bridge gaps of more than {(1 << geometry.index_bits) - 1} zeros. The weights of a "
        "layer share the few values of its codebook, so that an entry stores only the number of a value."
        + (
            " A convolution that computes several positions in a start stores its weights and biases once for each."
            if any(layer.positions > 1 for layer in figures)
            else ""
        ),
        table(heads, rows, total),
        bars(
            drawn,
            "Mean cycles per image. The thin line spans the fastest and the slowest image. "
            f"Outside of its layers, an image takes {outside:.3g} more from start to done{windows}.",
        ),
    )


def _activity(activity: NDArray[np.int64]) -> str:
    pes = len(activity)
    shares = activity / np.maximum(1, activity.sum(axis=1, keepdims=True))
    height, gap = row_pixels(pes), 0.15 if row_pixels(pes) >= 8 else 0.0
    groups, rows = [], []
    for pe in range(pes):
        texts = [percent(share) for share in shares[pe]]
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
    overall = [percent(share) for share in _share(activity)]
    legend = "".join(
        f'<li><i class="{name}"></i>{name} {share} <span>{MEANINGS[name]}</span></li>'
        for name, share in zip(ACTIVITIES, overall, strict=True)
    )
    svg = (
        f'<svg viewBox="0 0 100 {pes}" preserveAspectRatio="none" role="img" '
        f'aria-label="Share of the cycles of each PE">{"".join(groups)}</svg>'
    )
    ticks = [(percent / 100, f"{percent}%") for percent in range(0, 101, 25)]
    return section(
        "Where the cycles of each PE went",
        "One bar for each PE, over all images. The more of it is busy, the better the hardware is used; "
        "the rest is waiting or waste. The figures here are those of all PEs together.",
        f'<ul class="legend listed">{legend}</ul>',
        plot(pes * height, pe_rows(pes), svg, ticks, "Share of all cycles, in percent"),
        f"<details><summary>The same as a table, in percent of all cycles</summary>"
        f"{table(['PE', *ACTIVITIES], rows, ['all', *overall])}</details>",
    )


def _storage(network: EieNetwork) -> str:
    sizes = storage(network)
    parts = {
        "Entries (weights and padding)": ("shade-1", sizes.entries),
        "Column pointers": ("shade-2", sizes.pointers),
        "Codebooks": ("shade-3", sizes.codebooks),
    }
    scale = max(sizes.dense, sizes.image)
    drawn = [
        bar("Dense floats", [("dense", sizes.dense / scale)], f"{in_bytes(sizes.dense)} bytes"),
        bar(
            "Memory image",
            [(shade, size / scale) for shade, size in parts.values()],
            f"{in_bytes(sizes.image)} bytes",
        ),
    ]

    def row(text: str, size: int) -> list[str]:
        return [text, in_bytes(size), percent(size / sizes.image), percent(size / sizes.dense, 2)]

    dense_row = ["Dense floats", in_bytes(sizes.dense), "", percent(1, 2)]
    legend = "".join(f'<li><i class="{shade}"></i>{text}</li>' for text, (shade, _) in parts.items())
    geometry = network.geometry
    return section(
        "Storage",
        "The size of the compiled network in the memories of the array, compared with all weights and biases of the "
        f"dense network as 32-bit floats: a compression ratio of {sizes.ratio:.2f}. An entry has {geometry.entry_bits} "
        f"bits, and whole words of {geometry.entries_per_word} are counted; a pointer has "
        f"{geometry.pointer_bits} bits, a codebook value {VALUE_BITS}.",
        f'<ul class="legend"><li><i class="dense"></i>Dense floats</li>{legend}</ul>',
        bars(drawn, "Size in bytes, both bars to the same scale."),
        table(
            ["Layer", "Bytes", "Share of the image", "Share of the dense size"],
            [dense_row, *(row(text, size) for text, (_, size) in parts.items())],
            row("Memory image", sizes.image),
        ),
    )


def _share(activity: NDArray[np.int64]) -> NDArray[np.float64]:
    """Each activity's share of the cycles of all PEs."""
    return activity.sum(axis=0) / max(1, int(activity.sum()))
