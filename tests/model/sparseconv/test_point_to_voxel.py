"""The points of each voxel, against a loop over the points."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import Tensor

from zeroskip.sparseconv.spconv.pytorch.utils import PointToVoxel, gather_features_by_pc_voxel_id

SIZE, RANGE = [0.5, 0.25, 1.0], [-2.0, -1.0, 0.0, 2.0, 1.0, 3.0]


def by_hand(points: Tensor, most_voxels: int, most_points: int) -> tuple[list[Any], list[int]]:
    """(place along z, y, x, its points) of each voxel, and the voxel of each point."""
    found: dict[tuple[int, ...], list[Tensor]] = {}
    of_points = []
    for point in points:
        place = tuple(math.floor((float(point[axis]) - RANGE[axis]) / SIZE[axis]) for axis in (2, 1, 0))
        inside = all(0 <= step < extent for step, extent in zip(place, (3, 8, 8), strict=True))
        if not inside or (place not in found and len(found) == most_voxels):
            of_points.append(-1)
            continue
        own = found.setdefault(place, [])
        of_points.append(list(found).index(place))
        if len(own) < most_points:
            own.append(point)
    return list(found.items()), of_points


@pytest.mark.parametrize(("most_voxels", "most_points"), [(500, 20), (500, 3), (40, 2), (1, 1)])
@pytest.mark.parametrize("empty_mean", [False, True])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_points_of_voxels(most_voxels: int, most_points: int, empty_mean: bool, dtype: torch.dtype) -> None:
    """Voxels, their points and their numbers of points are those that are counted here one by one."""
    torch.manual_seed(0)
    points = 2.5 * torch.randn(400, 5, dtype=dtype)
    points[::4] = (4 * points[::4]).round() / 4  # on the borders of voxels
    points[3, 1] = float("nan")
    generator = PointToVoxel(SIZE, RANGE, 5, most_voxels, most_points)
    assert generator.grid_size == [3, 8, 8]
    known = torch.cat([points[:3], points[4:]])
    wanted, of_points = by_hand(known, most_voxels, most_points)
    voxels, indices, counts, ids = generator.generate_voxel_with_id(points, empty_mean=empty_mean)
    assert (voxels.dtype, indices.dtype, counts.dtype, ids.dtype) == (
        torch.float32,
        torch.int32,
        torch.int32,
        torch.int64,
    )
    assert [tuple(row) for row in indices.tolist()] == [place for place, _ in wanted]
    assert counts.tolist() == [len(own) for _, own in wanted]
    assert ids.tolist() == [*of_points[:3], -1, *of_points[3:]]
    for voxel, (_, own) in zip(voxels, wanted, strict=True):
        kept = torch.stack(own).float()
        assert torch.equal(voxel[: len(own)], kept)
        rest = kept.mean(dim=0) if empty_mean else torch.zeros(5)
        torch.testing.assert_close(voxel[len(own) :], rest.expand(most_points - len(own), 5))
    assert all(map(torch.equal, generator(points), generator.generate_voxel_with_id(points)))


def test_no_point_inside() -> None:
    voxels, indices, counts, ids = PointToVoxel(SIZE, RANGE, 3, 10, 4).generate_voxel_with_id(torch.full((2, 3), 9.0))
    assert (voxels.shape, indices.shape, counts.shape, ids.tolist()) == ((0, 4, 3), (0, 3), (0,), [-1, -1])
    assert gather_features_by_pc_voxel_id(torch.zeros(0, 2), ids, 7).tolist() == [[7, 7], [7, 7]]


def test_features_of_voxels_go_back_to_points() -> None:
    feats = torch.tensor([[1.0, 2], [3, 4]])
    found = gather_features_by_pc_voxel_id(feats, torch.tensor([1, -1, 0, 1]), -1)
    assert found.tolist() == [[3, 4], [-1, -1], [1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"coors_range_xyz": [0.0] * 5}, "coors_range_xyz must have 6 numbers, not 5"),
        ({"coors_range_xyz": [0.0] * 6}, "must span a voxel at least"),
        ({"vsize_xyz": [1.0, 0.0, 1.0]}, "vsize_xyz must be above zero"),
        ({"max_num_voxels": 0}, "max_num_voxels must be at least 1, not 0"),
        ({"num_point_features": 2}, "num_point_features must be at least 3, not 2"),
    ],
)
def test_wrong_sizes(changes: dict[str, Any], message: str) -> None:
    given = {
        "vsize_xyz": SIZE,
        "coors_range_xyz": RANGE,
        "num_point_features": 3,
        "max_num_voxels": 9,
        "max_num_points_per_voxel": 9,
    }
    with pytest.raises(ValueError, match=message):
        PointToVoxel(**{**given, **changes})


def test_wrong_points() -> None:
    with pytest.raises(ValueError, match=r"points must be \(points, 3\) floats"):
        PointToVoxel(SIZE, RANGE, 3, 9, 9)(torch.zeros(5, 4))
