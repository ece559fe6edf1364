"""A search as it is watched: a table on standard error that changes while it runs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from rich.live import Live
from rich.table import Table

from zeroskip.commands.console import errors
from zeroskip.model.search.progress import ReportProgress, SearchProgress


@contextmanager
def live(title: str) -> Iterator[ReportProgress]:
    """Within the block, shows every SearchProgress that it is given, where standard error is a terminal."""
    if not errors.is_terminal:
        yield lambda _: None
        return
    start = time.monotonic()
    with Live(console=errors, transient=True, refresh_per_second=4) as shown:
        yield lambda state: shown.update(_table(title, state, time.monotonic() - start))


def _table(title: str, state: SearchProgress, seconds: float) -> Table:
    table = Table(title=title, title_justify="left")
    left = seconds / max(state.done, 1) * (state.total - state.done)
    cells = {
        "step": f"{state.done:,} of {state.total:,}",
        "trying": state.trying,
        "accuracy": f"{state.accuracy:.2%}",
        "best": "" if state.best is None else f"{state.best:.2%}",
        "cost of the best": "" if state.cost is None else f"{state.cost:.1%} of dense",
        "time left": f"{int(left) // 60}:{int(left) % 60:02}",
    }
    for name in cells:
        table.add_column(name, justify="left" if name == "trying" else "right")
    table.add_row(*cells.values())
    return table
