"""Neighbours, balls and farthest points against scipy's k-d tree and loops."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.spatial import cKDTree

from zeroskip.model.mapping.ranking import NONE, ball, farthest, nearest


def some_points(count: int, dims: int, seed: int, spread: int = 12) -> Any:
    return np.random.default_rng(seed).integers(-spread, spread + 1, (count, dims)).astype(np.int32)


def ranked(points: Any, query: Any) -> list[tuple[int, int]]:
    """(squared distance, index) of all points, from the nearest on."""
    return sorted((sum((int(a) - int(b)) ** 2 for a, b in zip(p, query, strict=True)), i) for i, p in enumerate(points))


@pytest.mark.parametrize("dims", [1, 2, 3, 4])
@pytest.mark.parametrize("count", [1, 5, 16])
def test_nearest(dims: int, count: int) -> None:
    points, queries = some_points(60, dims, seed=dims), some_points(25, dims, seed=9)
    indices, squared = nearest(points, queries, count)
    for query, row, distances in zip(queries, indices.tolist(), squared.tolist(), strict=True):
        assert list(zip(distances, row, strict=True)) == ranked(points, query)[:count]
    tree = cKDTree(points).query(queries, k=[*range(1, count + 1)])[0]
    np.testing.assert_array_equal(squared, np.rint(tree**2).astype(int))


def test_fewer_points_than_wanted() -> None:
    points, queries = some_points(3, 2, seed=1), some_points(4, 2, seed=2)
    indices, squared = nearest(points, queries, 5)
    assert (indices[:, 3:] == NONE).all()
    assert (squared[:, 3:] == -1).all()
    assert np.sort(indices[:, :3], axis=1).tolist() == [[0, 1, 2]] * 4
    assert (nearest(points[:0], queries, 2)[0] == NONE).all()


def test_ball() -> None:
    points, queries = some_points(120, 3, seed=3), some_points(30, 3, seed=4)
    found = ball(points, queries, 7, 200)
    expected = cKDTree(points).query_ball_point(queries, 7)
    assert [sorted(i for i in row if i != NONE) for row in found.tolist()] == [sorted(row) for row in expected]
    few = ball(points, queries, 7, 3)
    assert few.tolist() == found[:, :3].tolist()


@pytest.mark.parametrize("first", [0, 17])
def test_farthest(first: int) -> None:
    points = some_points(80, 3, seed=5, spread=4)
    chosen = [first]
    while len(chosen) < 30:
        least = [min(ranked(points[chosen], point))[0] for point in points]
        chosen.append(least.index(max(least)))
    assert farthest(points, 30, first=first).tolist() == chosen


def test_wrong_points_are_refused() -> None:
    points = some_points(5, 3, seed=0)
    with pytest.raises(TypeError, match="points must be integers, not float64"):
        nearest(points.astype(float), points, 1)
    with pytest.raises(ValueError, match=r"queries must be count x 3, not \(5, 2\)"):
        nearest(points, points[:, :2], 1)
    with pytest.raises(ValueError, match="count must be at least 1, not 0"):
        nearest(points, points, 0)
    with pytest.raises(ValueError, match="radius must be at least 0, not -1"):
        ball(points, points, -1, 1)
    with pytest.raises(ValueError, match=r"count must be from 1 to the number of points \(5\), not 6"):
        farthest(points, 6)
    with pytest.raises(ValueError, match="first must be from 0 to 4, not 5"):
        farthest(points, 2, first=5)
    far = np.array([[-(2**31), 0, 0], [2**31 - 1, 0, 0]])
    with pytest.raises(ValueError, match="coordinates must lie so near each other that ranks fit 64 bits"):
        nearest(far, far, 1)
