"""Measures and fills the table of docs/measurements/pruning.md; `--measure` runs all of its commands anew."""

from __future__ import annotations

import json
import re
import statistics
import subprocess
import sys
from typing import Any

from tables import DOCS, fill, markdown, measured, update

PAGE = DOCS / "measurements/pruning.md"
MEASURED = DOCS / "measured/finetune.json"
SEEDS = (0, 1, 2)
COMMAND = re.compile(r"^zeroskip finetune .*?(?<!\\)$", re.M | re.S)


def commands(page: str) -> list[str]:
    """The commands that the page shows, each on one line."""
    return [" ".join(found.replace("\\\n", " ").split()) for found in COMMAND.findall(page)]


def measure(page: str) -> dict[str, list[dict[str, Any]]]:
    """What each command gives with each seed."""
    found: dict[str, list[dict[str, Any]]] = {}
    for command in commands(page):
        for seed in SEEDS:
            arguments = [*command.split()[1:], "--seed", str(seed), "--json"]
            zeroskip = [sys.executable, "-m", "zeroskip", *arguments]
            done = subprocess.run(zeroskip, capture_output=True, text=True, check=True)
            found.setdefault(command, []).append(json.loads(done.stdout))
    return found


def table(found: dict[str, list[dict[str, Any]]]) -> str:
    rows = [
        [
            "network, data",
            "weights kept",
            "compression ratio",
            "dense",
            "pruned, untrained",
            "fine-tuned",
            "difference, points",
        ]
    ]
    for command, results in found.items():
        network = command.split("zeroskip.networks:")[1].split()[0]
        data = command.split("--data ")[1].split()[0]
        dense, pruned, tuned = (
            [result["accuracy"][step] for result in results] for step in ("dense", "pruned", "finetuned")
        )
        apart = [after - before for before, after in zip(dense, tuned, strict=True)]
        rows.append(
            [
                f"{network}, {data}",
                f"{results[0]['kept']:,}",
                f"{results[0]['compression']:.1f}",
                *(f"{statistics.mean(step):.2%}" for step in (dense, pruned, tuned)),
                ", ".join(f"{100 * one:+.2f}" for one in apart),
            ]
        )
    return markdown(rows)


def filled(page: str) -> str:
    """The page with the table between its marks. Raises KeyError where a command has not been measured."""
    found = measured("finetune")
    text = table({command: found[command] for command in commands(page)})
    return fill(page, "measured", text)


if __name__ == "__main__":
    if "--measure" in sys.argv[1:]:
        MEASURED.write_text(json.dumps(measure(PAGE.read_text()), indent=1) + "\n")
    update(PAGE, filled)
