"""Warnings, as text for people and as data for the summaries of the API."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_HEARD: ContextVar[tuple[list[str], ...]] = ContextVar("_HEARD", default=())


def warn(text: str, *, stacklevel: int = 1) -> None:
    """Warns as `warnings.warn`, where a `stacklevel` of 1 is the caller; all `heard` blocks hear of it, also where
    Python shows a warning once only."""
    for told in _HEARD.get():
        told.append(text)
    warnings.warn(text, stacklevel=stacklevel + 1)


@contextmanager
def heard() -> Iterator[list[str]]:
    """The texts of all warnings within the block, in order; it grows."""
    told: list[str] = []
    token = _HEARD.set((*_HEARD.get(), told))
    try:
        yield told
    finally:
        _HEARD.reset(token)
