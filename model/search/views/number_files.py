"""Numbers as CSV and JSON."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Sequence
from pathlib import Path

from zeroskip.model.files import replacing


def save_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Writes a table; a file that stood there is replaced whole or not at all."""
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    return path


def save_json(path: Path, value: object) -> Path:
    """Writes JSON; a file that stood there is replaced whole or not at all."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n")
    return path
