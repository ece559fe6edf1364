"""What every operation of a folded network has."""

from __future__ import annotations

from dataclasses import dataclass

PREVIOUS = (1,)
"""`back` of what reads the result right before it."""


@dataclass(frozen=True, kw_only=True)
class BaseOperation:
    """Reads the results that stand `back` places before it in the list, (1,) being the one right before; the network's
    input stands before the first operation."""

    back: tuple[int, ...] = PREVIOUS
