"""Kernels on all cores, in a process that torch computes in too."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable
from typing import Any

import numba

# Not OpenMP, which torch counts its threads by: the first kernel of a process would set their number, and sums that
# are split among other threads round differently. Nor could a process run kernels that was forked after that.
numba.config.THREADING_LAYER = "workqueue"

_running = threading.Lock()


def parallel(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a kernel with `numba.prange` in it, and keeps the machine code. One runs at a time."""
    compiled = numba.njit(parallel=True, cache=True)(kernel)

    @functools.wraps(kernel)
    def run(*arguments: Any) -> Any:
        # numba ends the process where a second thread starts one.
        with _running:
            return compiled(*arguments)

    return run
