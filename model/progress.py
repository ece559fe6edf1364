"""How work that takes a while says what it is doing. Imports nothing heavy."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class Step:
    """`task` is being done; `done` of `total` are over, counted in `unit` ("epochs", "images"); `facts` by name."""

    task: str
    done: int = 0
    total: int | None = None
    """None where it is not known."""
    unit: str = ""
    facts: Mapping[str, str] = field(default_factory=dict)


Progress = Callable[[Step], None]
"""Takes each Step as it happens, often; must return soon."""


def silent(step: object) -> None:
    """Ignores a progress report of any kind."""
