"""Measures the table of networks of docs/measurements/networks.md, and writes it to docs/measured/networks.json. It
takes minutes; what the file holds already is kept, so that a run that was cut short continues."""

from __future__ import annotations

import json
import sys
import warnings
from typing import Any

from tables import DOCS, ROOT

sys.path.insert(0, str(ROOT / "tests"))

from support.zoo import ZOO
from support.zoo.run import run

FILE = DOCS / "measured/networks.json"
RTL_SAMPLES = 2


def measure() -> None:
    results: dict[str, Any] = json.loads(FILE.read_text()) if FILE.exists() else {}
    for entry in ZOO:
        if entry.name in results:
            continue
        print(entry.name, file=sys.stderr, flush=True)
        results[entry.name] = {
            "source": entry.source,
            "parameters": sum(value.numel() for value in entry.module().parameters()),
            **{core: run(entry, core, rtl_samples=RTL_SAMPLES) for core in ("eie", "mma")},
        }
        FILE.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    measure()
