"""Nearest neighbours and balls under Verilator, against sorted distances."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from zeroskip.cosim.mapping.neighbours import run_nearest
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.nearest import plan_nearest
from zeroskip.model.mapping.ranking import NONE

GEOMETRIES = {
    "1": MapperGeometry(width=1, dims=2, coordinate_bits=6, reach=4, batch_bits=2, index_bits=9, words=400, offsets=20),
    "4": MapperGeometry(
        width=4, dims=4, coordinate_bits=7, batch_bits=3, reach=2, index_bits=9, words=200, offsets=100
    ),
    "8": MapperGeometry(),
}
"""Those of four and eight keys are in test_play.py, too: their simulators are built once."""


def some_points(geometry: MapperGeometry, count: int, seed: int, spread: int = 14) -> Any:
    rng = np.random.default_rng(seed)
    places = rng.integers(-spread, spread + 1, (count, geometry.dims))
    return np.column_stack([rng.integers(0, min(3, geometry.batches), count), places])


def ranked(cloud: Any, query: Any) -> list[tuple[int, int]]:
    """(squared distance, row) of the points of the query's batch, from the nearest on."""
    found = [(int(((p[1:] - query[1:]) ** 2).sum()), row) for row, p in enumerate(cloud) if p[0] == query[0]]
    return sorted(found)


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize(("count", "radius"), [(1, None), (3, None), (8, None), (8, 9), (3, 0)])
def test_neighbours(name: str, count: int, radius: int | None) -> None:
    """More queries than the table holds; some have fewer neighbours than wanted, or none."""
    geometry = GEOMETRIES[name]
    count = min(count, geometry.width)
    cloud, queries = some_points(geometry, 203, seed=1), some_points(geometry, 50, seed=2)
    queries[0, 0] = geometry.batches - 1
    run = run_nearest(cloud, queries, geometry, count=count, radius=radius, seed=count)
    assert run.equal
    for query, indices, squared in zip(queries, run.indices.tolist(), run.squared.tolist(), strict=True):
        expected = [pair for pair in ranked(cloud, query) if radius is None or pair[0] <= radius**2][:count]
        expected += [(-1, NONE)] * (count - len(expected))
        assert list(zip(squared, indices, strict=True)) == expected
    # Each query takes as many cycles as the points have words, if as many take turns as comparing and sorting takes.
    words, levels = -(-203 // geometry.width), geometry.width.bit_length() - 1
    together, fill = 2 * (levels + 1), (levels + 1) * (levels + 2) + 15
    for cycles, job in zip(run.job_cycles, run.plan.jobs, strict=True):
        full, others = divmod(len(job), together)
        least = full * together * words + ((words - 1) * together + others if others else 0)
        assert cycles == least + fill


def test_one_batch_as_a_tree_finds_it() -> None:
    geometry = GEOMETRIES["8"]
    cloud, queries = some_points(geometry, 3000, seed=3, spread=900), some_points(geometry, 600, seed=4, spread=900)
    cloud[:, 0] = queries[:, 0] = 5
    run = run_nearest(cloud, queries, geometry, count=8)
    assert run.equal
    distances, _ = cKDTree(cloud[:, 1:]).query(queries[:, 1:], k=8)
    np.testing.assert_array_equal(run.squared, np.rint(distances**2).astype(int))
    assert len(run.plan.jobs) == 2


@pytest.mark.parametrize("sizes", [(0, 3), (3, 0)])
def test_no_points_or_no_queries(sizes: tuple[int, int]) -> None:
    geometry = GEOMETRIES["4"]
    cloud, queries = (some_points(geometry, size, seed=0) for size in sizes)
    run = run_nearest(cloud, queries, geometry, count=2)
    assert run.equal
    assert run.indices.tolist() == [[NONE, NONE]] * sizes[1]


def test_what_does_not_fit_is_refused() -> None:
    geometry = MapperGeometry(
        width=4, dims=4, coordinate_bits=7, batch_bits=3, reach=2, index_bits=9, words=100, offsets=16
    )
    cloud = some_points(geometry, 30, seed=0)
    with pytest.raises(ValueError, match=r"count must be from 1 to the width of the unit \(4\), not 5"):
        plan_nearest(cloud, cloud, geometry, count=5)
    with pytest.raises(ValueError, match="radius must be at least 0, not -1"):
        plan_nearest(cloud, cloud, geometry, count=1, radius=-1)
    far = cloud.copy()
    far[0, 1], far[1, 1] = -32, 32
    with pytest.raises(ValueError, match="coordinates of points and queries must be less than 64 apart, not 64"):
        plan_nearest(far, cloud, geometry, count=1)
    far[0, 1] = -31
    plan_nearest(far, cloud, geometry, count=1)
    with pytest.raises(ValueError, match="words must be at least 101 for these points, not 100"):
        plan_nearest(some_points(geometry, 400, seed=0), cloud, geometry, count=1)
    line = MapperGeometry(dims=1, coordinate_bits=10, batch_bits=4)
    with pytest.raises(ValueError, match="key_bits must be at least 19 to hold squared distances, not 14: use more"):
        plan_nearest(cloud[:, :2], cloud[:, :2], line, count=1)
