"""Farthest-point sampling under Verilator, against a loop over all points."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.cosim.mapping.samples import run_farthest
from zeroskip.model.mapping.farthest import plan_farthest
from zeroskip.model.mapping.geometry import MapperGeometry

GEOMETRIES = {
    "1": MapperGeometry(width=1, dims=2, coordinate_bits=6, reach=4, batch_bits=2, index_bits=9, words=400, offsets=30),
    "4": MapperGeometry(
        width=4, dims=4, coordinate_bits=7, batch_bits=3, reach=2, index_bits=9, words=200, offsets=100
    ),
    "8": MapperGeometry(),
}
"""Those of four and eight keys are in test_play.py, too: their simulators are built once."""


def some_points(geometry: MapperGeometry, count: int, seed: int, batches: int = 2) -> Any:
    rng = np.random.default_rng(seed)
    return np.column_stack([rng.integers(0, batches, count), rng.integers(-9, 10, (count, geometry.dims))])


def by_hand(cloud: Any, count: int, first: int) -> list[int]:
    rows = [row for row, point in enumerate(cloud) if point[0] == cloud[first][0]]
    chosen = [first]
    while len(chosen) < count:
        least = {row: min(int(((cloud[row] - cloud[other]) ** 2).sum()) for other in chosen) for row in rows}
        chosen.append(min(rows, key=lambda row: (-least[row], row)))
    return chosen


@pytest.mark.parametrize("name", GEOMETRIES)
@pytest.mark.parametrize(("points", "count", "batches"), [(150, 31, 1), (149, 25, 2), (9, 9, 1), (2, 2, 1)])
def test_samples(name: str, points: int, count: int, batches: int) -> None:
    geometry = GEOMETRIES[name]
    cloud = some_points(geometry, points, seed=points, batches=batches)
    first = points // 2
    run = run_farthest(cloud, geometry, count=count, first=first, seed=count)
    assert run.samples.tolist() == by_hand(cloud, count, first)
    assert run.equal
    # A pass over the points for each sample.
    levels = geometry.width.bit_length() - 1
    each = -(-points // geometry.width) + 16 + levels * (levels + 1)
    assert run.cycles == (count - 1) * each + (count - 2) * 2


def test_what_does_not_fit_is_refused() -> None:
    geometry = MapperGeometry(
        width=4, dims=4, coordinate_bits=7, batch_bits=3, reach=2, index_bits=9, words=130, offsets=40
    )
    cloud = some_points(geometry, 60, seed=0, batches=1)
    with pytest.raises(ValueError, match="first must be from 0 to 59, not 60"):
        plan_farthest(cloud, geometry, count=3, first=60)
    with pytest.raises(ValueError, match=r"count must be from 2 to 41, the points of the batch .* \(40\), not 42"):
        plan_farthest(cloud, geometry, count=42)
    with pytest.raises(ValueError, match=r"count must be from 2 to 41, .*, not 1"):
        plan_farthest(cloud, geometry, count=1)
    with pytest.raises(ValueError, match="words must be at least 161 for these points and samples, not 130"):
        plan_farthest(some_points(geometry, 300, seed=0, batches=1), geometry, count=12)
