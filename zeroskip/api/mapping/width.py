"""The width of a mapping unit, which all its commands take. Imports nothing heavy."""

from __future__ import annotations

WIDTH = 8
"""Keys merged in a cycle where nothing else is asked for."""


def require_width(width: int) -> None:
    """Raises ValueError unless a unit can merge so many keys in a cycle."""
    if not 1 <= width <= 64 or width & (width - 1):
        raise ValueError(f"width must be a power of two from 1 to 64, not {width}")
