"""Fills the tables of docs/measurements/sparsity.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

import statistics
from typing import Any

from tables import DOCS, fill, markdown, measured, update

from zeroskip.api.sparsity.bench import shown

BUILDS = {
    "fpga-build-ulx3s-85f-16": "EIE array, 16-bit activations, 16 shared weights",
    "fpga-build-ulx3s-85f-tile": "2:4 tile, fp16",
    "fpga-build-ulx3s-85f-tile-int8": "2:4 tile, int8",
}


def crossover_table(result: dict[str, Any]) -> str:
    """A row for each layer, a column for each tile; a cell has one density for each array."""
    found: dict[tuple[int, int], dict[str, list[str]]] = {}
    for row in result["crossovers"]:
        here = found.setdefault((row["size"], row["batch"]), {})
        here.setdefault(row["against"], []).append(shown(row["density"]))
    tiles = list(next(iter(found.values())))
    rows = [
        [f"{size:,} x {size:,}, batch {batch}", *(" / ".join(here[tile]) for tile in tiles)]
        for (size, batch), here in found.items()
    ]
    return markdown([["layer", *(f"against the {tile}" for tile in tiles)], *rows])


def hardware_table() -> str:
    rows = [["core, with its link, on an ULX3S 85F", "multipliers", "look-up tables", "a multiplier", "MHz"]]
    for name, title in BUILDS.items():
        built = measured(name)
        each = f"{built['lut'] / built['dsp']:,.0f}"
        rows.append([title, f"{built['dsp']}", f"{built['lut']:,}", each, f"{built['fmax']['sync']:.0f}"])
    return markdown(rows)


def accuracy_table(found: dict[str, list[dict[str, Any]]]) -> str:
    rows = [["network, data", "weights kept", "dense", "fine-tuned"]]
    for command, results in found.items():
        network, data = command.split("zeroskip.networks:")[1].split()[0], command.split("--data ")[1].split()[0]
        means = (statistics.mean(one["accuracy"][step] for one in results) for step in ("dense", "finetuned"))
        rows.append([f"{network}, {data}", f"{results[0]['density']:.1%}", *(f"{mean:.1%}" for mean in means)])
    return markdown(rows)


def bits_table(result: dict[str, Any], size: int) -> str:
    """Cycles and bits of one layer, batch 1, without a limit of the memory."""
    rows = [["on", "weights kept", "cycles", "bits of weights read", "bits a cycle"]]
    for row in result["rows"]:
        if (row["size"], row["batch"]) == (size, 1):
            figures = [f"{row['cycles']:,.0f}", f"{row['bits']:,.0f}", f"{row['bits'] / row['cycles']:,.0f}"]
            rows.append([row["rival"], f"{row['density']:.0%}", *figures])
    return markdown(rows)


def filled(page: str) -> str:
    result = measured("bench-sparsity")
    page = fill(page, "measured: crossovers", crossover_table(result))
    page = fill(page, "measured: bits", bits_table(result, 1024))
    page = fill(page, "measured: hardware", hardware_table())
    return fill(page, "measured: accuracy", accuracy_table(measured("finetune")))


if __name__ == "__main__":
    update(DOCS / "measurements/sparsity.md", filled)
