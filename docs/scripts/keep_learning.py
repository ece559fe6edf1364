"""Keeps the episodes of a search of AMC for its learning curve: `keep_learning.py NAME SEED FILE.episodes.csv`, in
docs/measured/search-learning.json under NAME, which LEARNED in search.py explains."""

from __future__ import annotations

import csv
import json
import sys

from tables import DOCS

FILE = DOCS / "measured/search-learning.json"


def keep(name: str, seed: int, episodes: str) -> None:
    with open(episodes, newline="") as file:
        found = [
            [row["source"], round(float(row["accuracy"]), 6), round(float(row["loss"]), 6)]
            for row in csv.DictReader(file)
        ]
    kept = json.loads(FILE.read_text())
    others = [search for search in kept.get(name, []) if search["seed"] != seed]
    kept[name] = sorted([*others, {"seed": seed, "episodes": found}], key=lambda search: search["seed"])
    FILE.write_text(json.dumps(kept, separators=(",", ":")) + "\n")


if __name__ == "__main__":
    keep(sys.argv[1], int(sys.argv[2]), sys.argv[3])
