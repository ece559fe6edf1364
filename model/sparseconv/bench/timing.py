"""Times of several ways to do one thing, taken in turn, so that a noisy machine treats all alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch

Run = Callable[[], object]


def seconds(run: Run) -> float:
    """How long one call takes, what it started on a GPU included."""
    _wait()
    start = time.perf_counter()
    run()
    _wait()
    return time.perf_counter() - start


def _wait() -> None:
    if torch.cuda.is_initialized():
        torch.cuda.synchronize()


def timed(run: Run) -> Callable[[], float]:
    """The call as one that returns its seconds."""
    return lambda: seconds(run)


def in_turn(runs: Mapping[str, Callable[[], float]], repeats: int) -> dict[str, float]:
    """The median of `repeats` times of each, in seconds. Each of `runs` runs once and returns its time; all of them run
    in turn, once before the first that counts."""
    times: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats + 1):
        for name, run in runs.items():
            times[name].append(run())
    return {name: statistics.median(found[1:]) for name, found in times.items()}
