"""How long a search evaluates networks, and how long it does everything else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

SECONDS = " seconds"
"""The key of an evaluation's CPU seconds ends in this."""


@dataclass
class Clock:
    """The CPU seconds of the evaluations of a search: `spent` by the key of each, as often as the search asked for it,
    once; `now` those of this process alone, where others are known from a run that was interrupted."""

    spent: dict[str, float] = field(default_factory=dict)
    now: float = 0.0

    @property
    def evaluating(self) -> float:
        """The seconds of all evaluations that the search asked for."""
        return sum(self.spent.values())


@dataclass(frozen=True, eq=False)
class Timed:
    """Work that returns its CPU seconds before what it returns, a tuple."""

    work: Callable[[Any], Sequence[Any]]

    def __call__(self, item: Any) -> tuple[Any, ...]:
        start = time.process_time()
        values = self.work(item)
        return (time.process_time() - start, *values)
