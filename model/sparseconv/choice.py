"""Which execution is chosen, for what is below the executions themselves."""

from __future__ import annotations

from contextvars import ContextVar

AUTO = "auto"
REFERENCE = "reference"

chosen: ContextVar[str] = ContextVar("sparseconv_execution", default=AUTO)
"""The name of the chosen execution."""


def is_plain() -> bool:
    """True within `execution("reference")`: everything is done by torch alone, searches too."""
    return chosen.get() == REFERENCE
