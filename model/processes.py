"""Worker processes that nobody waits for any more. Imports nothing heavy."""

from __future__ import annotations

import multiprocessing
from collections.abc import Collection
from multiprocessing.process import BaseProcess


def end_processes(*, but: Collection[BaseProcess]) -> None:
    """Ends all child processes of this one, `but` those that were there before: after an error, or Ctrl-C, nobody waits
    for the work in progress."""
    for process in multiprocessing.active_children():
        if process not in but:
            process.terminate()
