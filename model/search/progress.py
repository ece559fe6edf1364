"""The progress of a search while it runs."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class SearchProgress:
    """`done` of `total` steps are done. `trying` describes the plan that was measured last, `accuracy` is its accuracy.
    `best` is the accuracy of the best plan so far and `cost` its fraction of the dense cost; None if there is none yet.
    """

    done: int
    total: int
    trying: str
    accuracy: float
    best: float | None = None
    cost: float | None = None


ReportProgress = Callable[[SearchProgress], None]
