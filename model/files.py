"""Writes files so that an existing file is replaced completely or not at all."""

from __future__ import annotations

import csv
import glob
import json
import os
import socket
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

PART = ".part"
_HOST = "".join(letter if letter.isalnum() else "-" for letter in socket.gethostname())


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Gives a temporary path to write to, which replaces `path` at the end of the block. If the block fails, `path`
    does not change and the temporary file is removed. A missing folder is created; a link stays, and the file that it
    leads to is replaced."""
    named, path = path, path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_parts(path)
    temporary = path.with_name(f"{path.name}.{_HOST}.{os.getpid()}{PART}")
    try:
        yield temporary
        os.replace(temporary, path)
    except OSError as error:
        if error.filename is None:
            # A full disk is noticed by write(), which knows no file.
            raise OSError(f"{named} cannot be written: {error.strerror or error}") from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _remove_parts(path: Path) -> None:
    """Removes what processes of this machine that were killed had begun to write for `path`."""
    for part in path.parent.glob(f"{glob.escape(path.name)}.{_HOST}.*{PART}"):
        process = part.name.removesuffix(PART).rpartition(".")[2]
        if process.isdecimal() and not _runs(int(process)):
            part.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        # Another user's.
        return True
    return True


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
