"""Tables of results for people."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Table:
    """A `title`, the `heads` of the columns, and `rows` with a cell for each column."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]


def yes(right: bool) -> str:
    """The cell that says whether a row is right; loud where it is not."""
    return "yes" if right else "NO"
