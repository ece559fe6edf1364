"""Golden model of what the ranking core finds in point clouds: nearest neighbours, balls, farthest points.

Coordinates are integers (points x dims), so that squared distances are exact. Equal distances are ranked by index.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

NONE = -1
"""The index that stands where there is no neighbour."""

_CHUNK = 1 << 22
"""Distances that are computed at once."""


def nearest(
    points: NDArray[Any], queries: NDArray[Any], count: int, *, largest: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The `count` nearest points of each query: indices and squared distances (both int64, queries x count), from the
    nearest on.

    `largest` is the greatest squared distance that counts. Where there are fewer points, the index is NONE and the
    distance -1. Raises TypeError for coordinates that are not integers, ValueError for shapes that do not fit.
    """
    _check(points, queries)
    if count < 1:
        raise ValueError(f"count must be at least 1, not {count}")
    indices = np.full((len(queries), count), NONE, np.int64)
    squared = np.full((len(queries), count), -1, np.int64)
    taken = min(count, len(points))
    if taken == 0:
        return indices, squared
    together = max(1, _CHUNK // len(points))
    for first in range(0, len(queries), together):
        part = slice(first, first + together)
        distances = _squared(points, queries[part])
        # The index is the low part of the rank, so that no two ranks are equal.
        ranks = distances * len(points) + np.arange(len(points))
        best = np.sort(np.partition(ranks, taken - 1, axis=1)[:, :taken], axis=1)
        indices[part, :taken], squared[part, :taken] = best % len(points), best // len(points)
    if largest is not None:
        far = squared > largest
        indices[far], squared[far] = NONE, -1
    return indices, squared


def ball(points: NDArray[Any], queries: NDArray[Any], radius: int, count: int) -> NDArray[np.int64]:
    """The indices (int64, queries x count) of up to `count` points within `radius` of each query, the nearest first;
    NONE where there are fewer (PointAcc: top-k with the distances clamped at the radius)."""
    if radius < 0:
        raise ValueError(f"radius must be at least 0, not {radius}")
    return nearest(points, queries, count, largest=radius * radius)[0]


def farthest(points: NDArray[Any], count: int, *, first: int = 0) -> NDArray[np.int64]:
    """Farthest-point sampling: `count` indices (int64) that begin with `first`; each next point is the one farthest
    from all before, of equal ones that with the lowest index.

    Raises ValueError where there are fewer points than `count`, or `first` is none of them.
    """
    _check(points, points)
    if not 1 <= count <= len(points):
        raise ValueError(f"count must be from 1 to the number of points ({len(points)}), not {count}")
    if not 0 <= first < len(points):
        raise ValueError(f"first must be from 0 to {len(points) - 1}, not {first}")
    chosen = np.empty(count, np.int64)
    chosen[0] = first
    least = _squared(points, points[first : first + 1])[0]
    for number in range(1, count):
        chosen[number] = np.argmax(least)
        np.minimum(least, _squared(points, points[chosen[number] : chosen[number] + 1])[0], out=least)
    return chosen


def _check(points: NDArray[Any], queries: NDArray[Any]) -> None:
    for name, values in (("points", points), ("queries", queries)):
        if values.dtype.kind not in "iu":
            raise TypeError(f"{name} must be integers, not {values.dtype}")
        if values.ndim != 2 or values.shape[1] != points.shape[-1]:
            raise ValueError(f"{name} must be count x {points.shape[-1]}, not {values.shape}")
    every = [int(bound) for values in (points, queries) if values.size for bound in (values.min(), values.max())]
    spread = max(every) - min(every) if every else 0
    if spread * spread * points.shape[1] * max(1, len(points)) >= 1 << 63:
        raise ValueError(
            f"coordinates must lie so near each other that ranks fit 64 bits, not {spread} apart with {len(points)} "
            "points: quantise them more coarsely"
        )


def _squared(points: NDArray[Any], queries: NDArray[Any]) -> NDArray[np.int64]:
    """Squared distances (queries x points)."""
    difference = queries.astype(np.int64)[:, None] - points.astype(np.int64)
    squared: NDArray[np.int64] = np.einsum("qpd,qpd->qp", difference, difference)
    return squared
