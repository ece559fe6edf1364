"""Silence about connections that end with an interruption. Imports nothing heavy."""

from __future__ import annotations

import sys
import threading
from types import TracebackType


def ignore_lost_connections() -> None:
    """Keeps threads of this process from printing ConnectionErrors and EOFErrors that nobody handles.

    A thread of multiprocessing hands tensors from process to process. When a search is interrupted while it does, it
    prints the traceback of a connection that has ended, which says nothing that a user could act on.
    """

    def hook(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        in_main = threading.current_thread() is threading.main_thread()
        if in_main or not issubclass(kind, ConnectionError | EOFError):
            sys.__excepthook__(kind, error, trace)

    sys.excepthook = hook
