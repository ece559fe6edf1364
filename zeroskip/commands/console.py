"""Output of all commands: tables for people, one JSON object for programs, progress on standard error, Ctrl-C."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer
from rich.console import Console
from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Table as RichTable

from zeroskip.api.tables import Table
from zeroskip.interrupted import NOTHING_KEPT
from zeroskip.model.progress import Progress, Step

# Names are printed as they are: `plain:M` and `a[b]` are neither emoji nor markup.
errors = Console(stderr=True, markup=False, emoji=False, highlight=False)
_output = Console(markup=False, emoji=False)


LOG_SECONDS = 30.0
"""Seconds before the first line of progress, and between two, where standard error is not a terminal (a log, CI)."""


class Interrupted(Exception):
    """Ctrl-C, with one line about what is kept. Not a KeyboardInterrupt, because typer ends on these without a
    message."""


@dataclass(frozen=True)
class Kept:
    """An interrupted command keeps its finished work, counted in `unit`, in the file `path`. `how` is the instruction
    to continue: "continue with --resume"."""

    unit: str
    path: Path
    how: str


@contextmanager
def working(*kept: Kept) -> Iterator[Progress]:
    """Shows progress Steps on standard error: a bar on a terminal, elsewhere a line every LOG_SECONDS.

    Raises Interrupted in place of KeyboardInterrupt; its message names what is kept, and how to continue.
    """
    counts: dict[str, Step] = {}
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        TextColumn("{task.fields[count]}", markup=False),
        TimeRemainingColumn(),
    )
    try:
        # What the user's own code prints must not stand before the JSON on standard output.
        with (
            contextlib.redirect_stdout(sys.stderr),
            Bars(*columns, console=errors, disable=not errors.is_terminal, transient=True) as bars,
        ):
            bar = bars.add_task("starting", total=None, count="")
            shown, told = "", time.monotonic()

            def progress(step: Step) -> None:
                nonlocal shown, told
                counts[step.unit] = step
                if not errors.is_terminal:
                    if time.monotonic() - told >= LOG_SECONDS:
                        told = time.monotonic()
                        tell(f"{step.task}: {count}" if (count := _count(step)) else step.task)
                    return
                if step.unit != shown:
                    # Another kind of work starts its own time.
                    bars.reset(bar)
                    shown = step.unit
                # With None, update() would keep the total of the previous step.
                bars.tasks[bar].total = step.total
                bars.update(bar, description=step.task, completed=step.done, count=_count(step))

            yield progress
    except KeyboardInterrupt:
        kept_until = [sentence for one in kept if (sentence := _kept_sentence(one, counts.get(one.unit)))]
        raise Interrupted(f"interrupted {kept_until[-1]}" if kept_until else NOTHING_KEPT) from None


def _kept_sentence(kept: Kept, step: Step | None) -> str | None:
    """What is kept after an interruption at `step`, and how to continue; None if nothing is."""
    if step is not None and step.done:
        return f"after {step.done} of {step.total} {kept.unit}, which are kept in {kept.path}; {kept.how}"
    if kept.path.exists():
        return f"before the first of the {kept.unit} was complete; earlier results are kept in {kept.path}; {kept.how}"
    return None


def _count(step: Step) -> str:
    """The progress of a step, and its facts."""
    counted = [] if step.total is None else [f"{step.done:,} of {step.total:,} {step.unit}"]
    return ", ".join([*counted, *(f"{name} {value}" for name, value in step.facts.items())])


def tell(line: str, style: str = "") -> None:
    """Prints one line on standard error, not wrapped."""
    errors.print(line, style=style, soft_wrap=True)


def show(result: dict[str, Any], rows: Iterable[tuple[str, str]], *, title: str, as_json: bool) -> None:
    """Prints `result` as JSON, or `rows` (name, value) as a table."""
    if as_json:
        print(json.dumps(result))
        return
    table = RichTable(title=title, show_header=False, title_justify="left")
    # On a narrow terminal, digests and names go over several lines: none of them is cut.
    table.add_column(overflow="fold")
    table.add_column(justify="right", overflow="fold")
    for row in rows:
        table.add_row(*row)
    _output.print(table)


def show_tables(result: dict[str, Any], tables: Iterable[Table], notes: Iterable[str], *, as_json: bool) -> None:
    """Prints `result` as JSON, or `tables` with heads, and `notes` below them."""
    if as_json:
        print(json.dumps(result))
        return
    for table in tables:
        shown = RichTable(title=table.title, title_justify="left")
        for index, head in enumerate(table.heads):
            shown.add_column(head, justify="left" if index == 0 else "right", no_wrap=True)
        for row in table.rows:
            shown.add_row(*row)
        _output.print(shown)
    for note in notes:
        _output.print(note, highlight=False)


def finish(right: bool) -> None:
    """Ends the command with the exit code 1 if its result is wrong."""
    if not right:
        raise typer.Exit(1)
