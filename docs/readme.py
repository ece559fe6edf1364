"""Fills the measured table of the README from the JSON of the commands (docs/measured), so that no figure is typed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parent.parent
BEGIN, END = "<!-- measured: make readme -->", "<!-- end of measured -->"
DATA_SETS = {"digits": "digits, 64-300-100-10", "fashion-mnist": "Fashion-MNIST, LeNet-300-100"}


def table(results: list[dict[str, Any]]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("", [DATA_SETS[result["dataset"]] for result in results]),
        ("test images on RTL", [f"{result['images']:,}" for result in results]),
        ("processing elements", [str(result["pes"]) for result in results]),
        *(
            (f"accuracy, {step}", [f"{result['accuracy'][step]:.2%}" for result in results])
            for step in ("dense", "pruned", "shared", "hardware")
        ),
        ("fewer weights", [f"{result['weights']['ratio']:.1f}x" for result in results]),
        ("fewer bits than 32-bit floats", [f"{result['bits']['ratio']:.1f}x" for result in results]),
        ("cycles an image, mean", [f"{result['cycles_per_image']['mean']:,.0f}" for result in results]),
        ("multipliers busy with a weight", [f"{result['utilisation']:.0%}" for result in results]),
        ("outputs that differ from the golden model", [str(result["mismatches"]) for result in results]),
        ("cycles equal to the cycle model", ["all" if result["cycle_model_equal"] else "no" for result in results]),
        ("seconds, from training to report", [f"{result['seconds']:.0f}" for result in results]),
    ]
    lines = [f"| {name} | {' | '.join(cells)} |" for name, cells in rows]
    return "\n".join([lines[0], "|---" + "|---:" * len(results) + "|", *lines[1:]])


def filled(readme: str, results: list[dict[str, Any]]) -> str:
    head, rest = readme.split(BEGIN)
    return f"{head}{BEGIN}\n{table(results)}\n{END}{rest.split(END)[1]}"


def measured() -> list[dict[str, Any]]:
    return [json.loads((ROOT / f"docs/measured/{name}.json").read_text()) for name in DATA_SETS]


if __name__ == "__main__":
    path = ROOT / "README.md"
    path.write_text(filled(path.read_text(), measured()))
