"""Kernels that run on all CPU cores, in a process that also uses torch."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numba

# Not OpenMP, which torch uses: the first kernel of a process would set the number of torch's threads, which changes how
# sums are rounded, and a process forked after that could not run kernels.
numba.config.THREADING_LAYER = "workqueue"

_running = threading.Lock()


def parallel(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a kernel that uses `numba.prange`, and caches the machine code. Only one kernel runs at a time."""
    compiled = numba.njit(parallel=True, cache=True)(kernel)

    @functools.wraps(kernel)
    def run(*arguments: Any) -> Any:
        # numba ends the process if a second thread starts a kernel meanwhile.
        with _running:
            return compiled(*arguments)

    return run
