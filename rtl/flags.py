"""Functions of sets of flags."""

from __future__ import annotations

from functools import reduce
from operator import or_

from amaranth.hdl import Const, Value


def at_least(flags: Value, count: int) -> Value:
    """Whether `count` of the flags or more are set, in a tree of the flags' halves."""
    return _reached(flags, count)[count]


def _reached(flags: Value, most: int) -> list[Value]:
    """For each number from 0 to `most`, whether so many of the flags are set."""
    never = Const(0)
    if len(flags) == 1:
        return [Const(1), flags, *[never] * (most - 1)]
    middle = len(flags) // 2
    low, high = _reached(flags[:middle], most), _reached(flags[middle:], most)
    return [reduce(or_, (low[part] & high[count - part] for part in range(count + 1))) for count in range(most + 1)]
