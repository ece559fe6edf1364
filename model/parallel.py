"""Kernels on all cores, which leave torch's threads as they are."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import Any

import numba


def parallel(kernel: Callable[..., Any]) -> Callable[..., Any]:
    """Compiles a kernel with `numba.prange` in it, and keeps the machine code.

    The first such kernel of a process sets OpenMP's number of threads to numba's, and that number is torch's too. Sums
    that are split among other threads round differently: what torch computed would depend on which kernels had run.
    """
    compiled = numba.njit(parallel=True, cache=True)(kernel)

    @functools.wraps(kernel)
    def run(*arguments: Any) -> Any:
        # Not imported here: simulators load kernels too, and torch takes seconds.
        torch = sys.modules.get("torch")
        threads = torch and torch.get_num_threads()
        try:
            return compiled(*arguments)
        finally:
            if torch:
                torch.set_num_threads(threads)

    return run
