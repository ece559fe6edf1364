"""Writes files so that an existing file is replaced completely or not at all."""

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
    """Gives a temporary path to write to, which replaces `path` at the end of the block. If the block fails, `path`
    does not change and the temporary file is removed. A missing folder is created."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def save_npz(path: Path, **arrays: Any) -> None:
    """Writes an NPZ file of exactly this name."""
    # Given a path instead of an open file, savez would append a suffix.
    with replacing(path) as temporary, temporary.open("wb") as file:
        np.savez(file, **arrays)


def save_json(path: Path, value: object) -> Path:
    """Writes `value` as JSON."""
    with replacing(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2) + "\n")
    return path


def save_csv(path: Path, head: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    """Writes a table as CSV: the names of the columns, then one line for each row."""
    with replacing(path) as temporary, temporary.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(head)
        writer.writerows(rows)
    return path
