"""The figures of `zeroskip bench sparseconv` as a picture."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOURS = {
    "zeroskip": "#1f6fb2",
    "torch": "#8a97a3",
    "spconv": "#c8553d",
    "open3d": "#3f8f5f",
    "dense": "#b9902f",
}
NAMES = {"torch": "plain torch", "spconv": "spconv, one thread", "open3d": "Open3D", "dense": "dense conv3d"}
STEPS = {"map": "map", "conv": "convolution", "end_to_end": "map and convolution", "train": "forward and backward"}


def of_bench(figures: dict[str, Any]) -> Figure:
    """A panel for each part that was measured: scenes, growth, ways to execute, mapping unit."""
    scenes = figures.get("scenes", [])
    panels = [name for name in _PANELS if figures.get(name)]
    rows = max(1, len(scenes) + -(-len(panels) // 2))
    figure = Figure(figsize=(10, 3.4 * rows), layout="constrained")
    grid = figure.add_gridspec(rows, 2)
    for number, row in enumerate(scenes):
        _scene(figure.add_subplot(grid[number, :]), row)
    for number, name in enumerate(panels):
        _PANELS[name](figure.add_subplot(grid[len(scenes) + number // 2, number % 2]), figures[name])
    return figure


def _scene(axes: Axes, row: dict[str, Any]) -> None:
    libraries = {"zeroskip": row, **row["peers"]}
    width = 0.8 / len(libraries)
    for number, (name, times) in enumerate(libraries.items()):
        places = [at + (number - (len(libraries) - 1) / 2) * width for at in range(len(STEPS))]
        heights = [times.get(f"{step}_ms", 0) for step in STEPS]
        bars = axes.bar(places, heights, width, color=COLOURS[name], label=NAMES.get(name, name))
        axes.bar_label(bars, [_short(height) for height in heights], fontsize=7, padding=1)
    axes.axhline(row["matmul_ms"], color="#555555", linewidth=0.8, linestyle=":", label="the products alone")
    axes.set_yscale("log")
    axes.set_xticks(range(len(STEPS)), list(STEPS.values()))
    axes.set_ylabel("ms")
    channels = " to ".join(map(str, row["channels"]))
    axes.set_title(f"{row['name']}: {row['voxels']:,} voxels, {channels} channels, 3 x 3 x 3", fontsize=9, loc="left")
    axes.legend(frameon=False, fontsize=8, ncols=len(libraries) + 1, loc="upper center", bbox_to_anchor=(0.5, -0.1))
    _style(axes)


def _short(time: float) -> str:
    return "" if not time else f"{time:,.0f}" if time >= 100 else f"{time:.3g}"


def _growth(axes: Axes, rows: list[dict[str, Any]]) -> None:
    voxels = [row["voxels"] for row in rows]
    for library, prefix in (("zeroskip", ""), ("torch", "torch_")):
        for step, line in (("map", "--"), ("conv", "-")):
            times = [row[f"{prefix}{step}_ms"] for row in rows]
            label = f"{NAMES.get(library, library)}, {STEPS[step]}"
            axes.plot(voxels, times, line, color=COLOURS[library], marker="o", markersize=3, label=label)
    _logarithmic(axes, "voxels", "ms", "growth of a surface")


def _ways(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for number, name in enumerate(dict.fromkeys(row["execution"] for row in rows)):
        of_way = [row for row in rows if row["execution"] == name]
        strong = name in ("fused", "reference")
        axes.plot(
            [row["voxels"] for row in of_way],
            [row["conv_ms"] for row in of_way],
            color=COLOURS["zeroskip"] if name == "fused" else COLOURS["torch"] if strong else f"C{number}",
            linewidth=2 if strong else 1,
            marker="o",
            markersize=3,
            label=name,
        )
    _logarithmic(axes, "voxels", "ms", "ways to execute one layer")


def _units(axes: Axes, rows: list[dict[str, Any]]) -> None:
    for number, scene in enumerate(dict.fromkeys(row["scene"] for row in rows)):
        of_scene = [row for row in rows if row["scene"] == scene]
        widths = [row["width"] for row in of_scene]
        axes.plot(
            widths, [row["ms_at_100_mhz"] for row in of_scene], color=f"C{number}", marker="o", label=f"{scene}, RTL"
        )
        axes.axhline(of_scene[0]["software_ms"], color=f"C{number}", linestyle=":", label=f"{scene}, software")
    _logarithmic(axes, "keys a cycle", "ms, unit at 100 MHz", "kernel map of the mapping unit")
    axes.set_xticks(widths, [str(width) for width in widths])
    axes.minorticks_off()


def _logarithmic(axes: Axes, across: str, up: str, title: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xlabel(across)
    axes.set_ylabel(up)
    axes.set_title(title, fontsize=9, loc="left")
    axes.legend(frameon=False, fontsize=7)
    _style(axes)


def _style(axes: Axes) -> None:
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)


_PANELS = {"growth": _growth, "grouping": _ways, "mapping_unit": _units}
