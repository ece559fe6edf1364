"""Fills the tables of docs/measurements/sparseconv.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

import sys
from typing import Any

from tables import DOCS, fill, markdown, measured, update

from zeroskip.model.search.views.pictures import save_picture
from zeroskip.model.sparseconv.bench.picture import NAMES, of_bench

STEPS = {"map": "map", "conv": "conv", "end_to_end": "map and conv", "train": "train"}


def ms(time: float) -> str:
    return f"{time:,.0f}" if time >= 100 else f"{time:.1f}" if time >= 10 else f"{time:.2f}"


def layer_table(result: dict[str, Any]) -> str:
    rows = [["ms", *STEPS.values()]]
    for scene in result["scenes"]:
        assert scene["equal"], scene["name"]
        name = f"**{scene['name']}**, {scene['voxels']:,} voxels, {scene['pairs']:,} pairs"
        rows.append([f"{name}: zeroskip", *(ms(scene[f"{step}_ms"]) for step in STEPS)])
        for peer, times in scene["peers"].items():
            ratios = scene["ratios"][peer]
            cells = [f"{ms(times[f'{step}_ms'])} ({ratios[step]:.2f})" if step in ratios else "" for step in STEPS]
            rows.append([NAMES.get(peer, peer), *cells])
        if result["device"] == "cpu":  # On a GPU the blocks are too small to keep it busy.
            rows.append(["the products alone", "", ms(scene["matmul_ms"]), "", ""])
    return markdown(rows)


def network_table(result: dict[str, Any]) -> str:
    row = result["network"]
    heads = ["forward of a MinkUNet, maps included", "voxels", "zeroskip, ms", "plain torch, ms", "times slower"]
    cells = [f"{row['voxels']:,}", ms(row["forward_ms"]), ms(row["torch_forward_ms"]), f"{row['ratio']:.2f}"]
    return markdown([heads, [f"{row['name']}, on {row['scene']}", *cells]])


def growth_table(result: dict[str, Any]) -> str:
    names = ("map_ms", "torch_map_ms", "conv_ms", "torch_conv_ms")
    rows = [["voxels of a surface", "map, ms", "plain torch", "conv, ms", "plain torch"]]
    return markdown([*rows, *([f"{row['voxels']:,}", *(ms(row[name]) for name in names)] for row in result["growth"])])


def grouping_table(result: dict[str, Any]) -> str:
    sizes = list(dict.fromkeys(row["voxels"] for row in result["grouping"]))
    rows = [["conv, ms (groups, padding)", *(f"{size:,} voxels" for size in sizes)]]
    for name in dict.fromkeys(row["execution"] for row in result["grouping"]):
        of_way = {row["voxels"]: row for row in result["grouping"] if row["execution"] == name}
        rows.append([name, *(_way(of_way[size]) for size in sizes)])
    return markdown(rows)


def _way(row: dict[str, Any]) -> str:
    if row["groups"] is None:
        return ms(row["conv_ms"])
    return f"{ms(row['conv_ms'])} ({row['groups']}, {row['padding']:.0%})"


def unit_table(result: dict[str, Any]) -> str:
    rows = [["scene, width", "cycles", "over ideal", "triples", "ms at 100 MHz", "software, ms"]]
    for row in result["mapping_unit"]:
        assert row["equal"], row
        assert row["model_equal"], row
        cells = [f"{row['cycles']:,}", f"{row['over_ideal']:.3%}", f"{row['triples']:,}"]
        rows.append([f"{row['scene']}, {row['width']}", *cells, ms(row["ms_at_100_mhz"]), ms(row["software_ms"])])
    return markdown(rows)


def filled(page: str) -> str:
    """The page with each table between its two marks."""
    bench, gpu = measured("bench-sparseconv"), measured("bench-sparseconv-h100")
    tables = {
        "layers": layer_table(bench),
        "network": network_table(bench),
        "growth": growth_table(bench),
        "groupings": grouping_table(bench),
        "gpu": "\n\n".join([layer_table(gpu), network_table(gpu), growth_table(gpu)]),
        "mapping unit": unit_table(bench),
    }
    for name, table in tables.items():
        page = fill(page, f"measured: {name}", table)
    return page


if __name__ == "__main__":
    update(DOCS / "measurements/sparseconv.md", filled)
    if "--check" not in sys.argv[1:]:
        save_picture(of_bench(measured("bench-sparseconv")), DOCS / "images/bench-sparseconv.png")
