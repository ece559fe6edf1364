"""For benches: the simulator ends with the process that started it, even after a crash.

A bench that waits for something would run for ever, and nobody would see it.
"""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1


def end_together() -> None:
    """Called in a bench's module, in the simulator's process. Only Linux can do it."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
