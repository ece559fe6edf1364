"""What the commands of all parts share: tables for people, one JSON object for programs, progress on standard error."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

errors = Console(stderr=True)
_output = Console()


@contextmanager
def progress_bar() -> Iterator[Progress]:
    """A progress bar on standard error, where that is a terminal."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=errors, disable=not errors.is_terminal, transient=True) as progress:
        yield progress


@contextmanager
def training_bar() -> Iterator[Callable[[Any], None]]:
    """A progress bar for training: gives what takes each zeroskip.model.pruning.training_run.TrainingProgress."""
    with progress_bar() as bar:
        task = bar.add_task("training")
        yield lambda at: bar.update(task, description=at.stage, completed=at.done, total=at.total)


def require_writable(path: Path, *sources: Path) -> None:
    """Makes the folder of a file to be written; raises OSError now where the file could not be written later, or is
    one of those that are read."""
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise OSError(f"{path} cannot be written: it is a folder, or its folder is read-only")
    if path.resolve() in [source.resolve() for source in sources]:
        raise OSError(f"{path} cannot be written: it is read too")


def require_json(path: Path) -> None:
    """Raises ValueError unless a file to be written is named as JSON: no network, weights or data are overwritten."""
    if path.suffix != ".json":
        raise ValueError(f"output must end in .json, not {path.suffix!r}: {path}")


def show(result: dict[str, Any], rows: list[tuple[str, str]], *, title: str, as_json: bool) -> None:
    """Prints `result` as JSON, or `rows` (name, value) as a table."""
    if as_json:
        print(json.dumps(result))
        return
    table = Table(title=title, show_header=False, title_justify="left")
    table.add_column()
    table.add_column(justify="right")
    for row in rows:
        table.add_row(*row)
    _output.print(table)
