"""What the mapping unit does for farthest-point sampling: the job, and the samples of the golden model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mapping.cycles import farthest_cycles
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList, check_indices, points
from zeroskip.model.mapping.nearest import check_distances
from zeroskip.model.mapping.ranking import farthest


@dataclass(frozen=True, kw_only=True, eq=False)
class FarthestPlan:
    """The job that finds samples: the points lie from word 0 on, distances from word `distances` on, and results from
    word `target` on. `move` is minus the key of the first sample.

    The golden model expects `samples` (int64, the first included), the cycle model `cycles`.
    """

    geometry: MapperGeometry
    points: KeyList
    distances: int
    target: int
    move: int
    samples: NDArray[np.int64]
    cycles: int


def plan_farthest(cloud: NDArray[Any], geometry: MapperGeometry, *, count: int, first: int = 0) -> FarthestPlan:
    """Plans to find `count` samples, beginning with row `first`, among the points of its batch. Points are integers, n
    x (1 + dims), the batch number first, in any order; each next sample is the one farthest from all before, of equal
    ones that of the lowest row.

    Raises TypeError or ValueError for points that do not fit the geometry, or that are half of the range or more apart.
    """
    listed = points(cloud, geometry)
    check_indices("points", listed, geometry)
    check_distances([cloud], geometry)
    if not 0 <= first < len(listed):
        raise ValueError(f"first must be from 0 to {len(listed) - 1}, not {first}")
    rows = np.flatnonzero(cloud[:, 0] == cloud[first, 0])
    most = min(len(rows), geometry.offsets + 1)
    if not 2 <= count <= most:
        raise ValueError(
            f"count must be from 2 to {most}, the points of the batch and one more than the offsets of the unit "
            f"({geometry.offsets}), not {count}"
        )
    words = geometry.blocks(len(listed))
    if (needed := 2 * words + count - 1) > geometry.words:
        raise ValueError(f"words must be at least {needed:,} for these points and samples, not {geometry.words:,}")
    place = int(np.searchsorted(rows, first))
    return FarthestPlan(
        geometry=geometry,
        points=listed,
        distances=words,
        target=2 * words,
        move=-int(listed.keys[first]),
        samples=rows[farthest(cloud[rows, 1:], count, first=place)],
        cycles=farthest_cycles(geometry, len(listed), count - 1),
    )
