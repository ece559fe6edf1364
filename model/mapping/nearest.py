"""What the mapping unit does to find nearest neighbours: the jobs, and the results of the golden model."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mapping.cycles import rank_cycles
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList, check_indices, points
from zeroskip.model.mapping.keys import pack
from zeroskip.model.mapping.ranking import NONE, nearest


@dataclass(frozen=True, kw_only=True, eq=False)
class NearestPlan:
    """The jobs that find the `count` nearest of `points` for each query.

    The points lie in the memory from word 0 on, results from word `target` on. `jobs` are the queries of each job,
    `moves` (int64, queries) minus their keys, `limit` the largest squared distance. The golden model expects `indices`
    and `squared` distances (both int64, queries x count), the cycle model `cycles` for each job.
    """

    geometry: MapperGeometry
    points: KeyList
    target: int
    count: int
    limit: int
    moves: NDArray[np.int64]
    jobs: tuple[range, ...]
    indices: NDArray[np.int64]
    squared: NDArray[np.int64]
    cycles: tuple[int, ...]


def plan_nearest(
    cloud: NDArray[Any],
    queries: NDArray[Any],
    geometry: MapperGeometry,
    *,
    count: int,
    radius: int | None = None,
) -> NearestPlan:
    """Plans the search for the `count` (1 to `width`) nearest points of each query, among the points of its batch and
    no farther away than `radius`, if there is one (a ball query). Points and queries are integers, n x (1 + dims), the
    batch number first, in any order. Indices are rows of `cloud`; zeroskip.model.mapping.ranking.NONE stands for none.

    Raises TypeError or ValueError for points that do not fit the geometry, or that are half of the range or more apart.
    """
    if not 1 <= count <= geometry.width:
        raise ValueError(f"count must be from 1 to the width of the unit ({geometry.width}), not {count}")
    if radius is not None and radius < 0:
        raise ValueError(f"radius must be at least 0, not {radius}")
    listed, asked = points(cloud, geometry), pack(queries, geometry)
    check_indices("points", listed, geometry)
    check_distances([cloud, queries], geometry)
    target = geometry.blocks(len(listed))
    at_once = min(geometry.offsets, (geometry.words - target) * geometry.width // count)
    if at_once < 1:
        raise ValueError(f"words must be at least {target + 1:,} for these points, not {geometry.words:,}")
    every = (1 << geometry.key_bits) - 2
    limit = every if radius is None else min(every, radius * radius)
    jobs = tuple(range(first, min(first + at_once, len(asked))) for first in range(0, len(asked), at_once))
    indices, squared = _golden(cloud, queries, count, limit)
    return NearestPlan(
        geometry=geometry,
        points=listed,
        target=target,
        count=count,
        limit=limit,
        moves=-asked,
        jobs=jobs,
        indices=indices,
        squared=squared,
        cycles=tuple(rank_cycles(geometry, len(listed), len(job)) for job in jobs),
    )


def check_distances(clouds: list[NDArray[Any]], geometry: MapperGeometry) -> None:
    """Raises ValueError where squared distances do not fit a key, or coordinates of the points (each n x (1 + dims))
    are so far apart that a difference does not fit its field with its sign."""
    if geometry.distance_bits > geometry.key_bits:
        raise ValueError(
            f"key_bits must be at least {geometry.distance_bits} to hold squared distances, not {geometry.key_bits}: "
            "use more batch_bits or dims"
        )
    places = np.concatenate([np.asarray(cloud)[:, 1:].astype(np.int64) for cloud in clouds])
    spread = int((places.max(axis=0) - places.min(axis=0)).max()) if len(places) else 0
    if spread >= (half := 1 << (geometry.coordinate_bits - 1)):
        raise ValueError(
            f"coordinates of points and queries must be less than {half} apart, not {spread}: a larger "
            "coordinate_bits holds more"
        )


def _golden(
    cloud: NDArray[Any], queries: NDArray[Any], count: int, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The neighbours batch by batch."""
    indices = np.full((len(queries), count), NONE, np.int64)
    squared = np.full((len(queries), count), -1, np.int64)
    for batch in np.unique(queries[:, 0]):
        rows, asked = np.flatnonzero(cloud[:, 0] == batch), np.flatnonzero(queries[:, 0] == batch)
        if len(rows):
            found, distances = nearest(cloud[rows, 1:], queries[asked, 1:], count, largest=limit)
            indices[asked] = np.where(found == NONE, NONE, rows[found])
            squared[asked] = distances
    return indices, squared
