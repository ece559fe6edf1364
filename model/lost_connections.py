"""Silence about connections that end with an interruption. Imports nothing heavy."""

from __future__ import annotations

import sys
from types import TracebackType


def ignore_lost_connections() -> None:
    """Keeps this process from printing ConnectionErrors and EOFErrors that nobody handles.

    A thread of multiprocessing hands tensors from process to process. When a search is interrupted while it does, it
    prints the traceback of a connection that has ended, which says nothing that a user could act on.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        if not issubclass(kind, ConnectionError | EOFError):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook
