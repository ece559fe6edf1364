"""Moves: results that are values of a sample from other places, as transposing, slicing, splitting and repeating give.

Value (i, j, ...) of a result of `sizes` is value `offset + i * strides[0] + j * strides[1] + ...` of what is read. So a
transposed matrix of 2 x 3 values, row by row, is

    sizes (3, 2), strides (1, 3), offset 0:    a b c        a d
                                               d e f   ->   b e
                                                            c f
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

MOST_LOOPS = 16
"""The most sizes of a move."""


@dataclass(frozen=True, kw_only=True)
class Move:
    """Where the values of a result stand in what is read. Raises ValueError naming the field that is wrong."""

    sizes: tuple[int, ...]
    strides: tuple[int, ...]
    offset: int

    def __post_init__(self) -> None:
        for name in ("sizes", "strides"):
            values = getattr(self, name)
            if not isinstance(values, tuple) or not all(type(value) is int for value in values):
                raise ValueError(f"{name} must be integers, not {values!r}")
        if len(self.sizes) != len(self.strides) or not len(self.sizes) <= MOST_LOOPS:
            raise ValueError(
                f"sizes and strides must be as many, at most {MOST_LOOPS}, not {self.sizes}, {self.strides}"
            )
        if min(self.sizes, default=1) < 1:
            raise ValueError(f"sizes must be at least 1, not {self.sizes}")
        if type(self.offset) is not int or self._reach[0] < 0:
            raise ValueError(f"offset must be an integer, and no place below 0, not {self.offset!r}")

    @property
    def count(self) -> int:
        """Values of the result."""
        return math.prod(self.sizes)

    @property
    def _reach(self) -> tuple[int, int]:
        ends = [stride * (size - 1) for size, stride in zip(self.sizes, self.strides, strict=True)]
        return self.offset + sum(min(end, 0) for end in ends), self.offset + sum(max(end, 0) for end in ends)

    @property
    def furthest(self) -> int:
        """The last place that is read."""
        return self._reach[1]

    def places(self) -> NDArray[np.int64]:
        """The place of each value, in order."""
        found = np.full(1, self.offset, np.int64)
        for size, stride in zip(self.sizes, self.strides, strict=True):
            found = (found[:, None] + stride * np.arange(size, dtype=np.int64)).reshape(-1)
        return found

    def keeps(self, count: int) -> bool:
        """Whether the result is what is read, all `count` values in order."""
        return self.count == count and bool(np.array_equal(self.places(), np.arange(count)))


def move_to(places: NDArray[np.int64]) -> Move | None:
    """The move that takes its values from `places`; None where they follow no regular order."""
    sizes: list[int] = []
    strides: list[int] = []
    while len(places) > 1:
        step = int(places[1] - places[0])
        length = next(
            (
                length
                for length in range(len(places), 1, -1)
                if len(places) % length == 0 and np.all(np.diff(places.reshape(-1, length), axis=1) == step)
            ),
            None,
        )
        if length is None or len(sizes) == MOST_LOOPS:
            return None
        sizes.insert(0, length)
        strides.insert(0, step)
        places = places[::length]
    return Move(sizes=tuple(sizes), strides=tuple(strides), offset=int(places[0]))
