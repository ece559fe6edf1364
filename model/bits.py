"""Widths of binary numbers."""

from __future__ import annotations


def bits_for(count: int) -> int:
    """Width of an unsigned number below `count`, at least one so that no port vanishes."""
    return max(1, (count - 1).bit_length())


def power_of_two_at_least(count: int) -> int:
    return 1 << max(0, count - 1).bit_length()
