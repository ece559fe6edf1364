"""Files that are replaced whole or not at all."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives the path to write to, and puts what was written there in the place of `path` at the end; where the block
    fails, `path` stays what it was and nothing is left beside it. The folder is made where it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def save_npz(path: Path, **arrays: Any) -> None:
    """Writes an NPZ file of exactly this name."""
    # Through a handle: given a name, savez would add a suffix to it.
    with replacing(path) as part, part.open("wb") as file:
        np.savez(file, **arrays)


def save_json(path: Path, value: object) -> Path:
    """Writes `value` as JSON."""
    with replacing(path) as part:
        part.write_text(json.dumps(value, indent=2) + "\n")
    return path


def save_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Writes a table as CSV: the names of the columns, then one line for each row."""
    with replacing(path) as part, part.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    return path
