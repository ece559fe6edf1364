"""From points to voxels and back: means over the points of a voxel, trilinear interpolation between voxels."""

from __future__ import annotations

from itertools import product

import torch
from torch import Tensor

from zeroskip.model.sparseconv.keys import unique_coords
from zeroskip.model.sparseconv.lookup import rows_at
from zeroskip.model.sparseconv.reference import sum_type
from zeroskip.model.sparseconv.tensor import SparseTensor


def spvoxelize(feats: Tensor, coords: Tensor, counts: Tensor) -> Tensor:
    """The mean of the points of each voxel.

    Args:
        feats: (points, channels), floats.
        coords: (points,) integers: the voxel of each point, -1 for none.
        counts: (voxels,): how many points each voxel has (`spcount`). Voxels without points are zero.

    Returns (voxels, channels), differentiable in `feats`; 16-bit floats are summed in float32.
    """
    _require_floats(feats)
    if coords.shape != feats.shape[:1]:
        raise ValueError(f"coords must be ({len(feats)},), a voxel for each point, not {tuple(coords.shape)}")
    _require_rows(coords, len(counts), "coords")
    inside = coords >= 0
    wide = feats.to(sum_type(feats.dtype))
    sums = wide.new_zeros(len(counts), feats.shape[1]).index_add(0, coords[inside].to(torch.int64), wide[inside])
    return (sums / counts.clamp(min=1)[:, None]).to(feats.dtype)


def spdevoxelize(feats: Tensor, coords: Tensor, weights: Tensor) -> Tensor:
    """For each point the sum of the features of voxels, times weights.

    Args:
        feats: (voxels, channels), floats.
        coords: (points, corners) integers: rows of `feats`, -1 for a corner that is no voxel.
        weights: (points, corners), as from `calc_ti_weights(...)` transposed.

    Returns (points, channels), differentiable in `feats` and `weights`; 16-bit floats are summed in float32.
    """
    _require_floats(feats)
    if coords.dim() != 2 or coords.shape != weights.shape:
        raise ValueError(
            f"coords and weights must both be (points, corners), not {tuple(coords.shape)} and {tuple(weights.shape)}"
        )
    _require_rows(coords, len(feats), "coords")
    wide = feats.to(sum_type(feats.dtype))
    result = wide.new_zeros(len(coords), feats.shape[1])
    for corner in range(coords.shape[1]):
        points = torch.nonzero(coords[:, corner] >= 0).flatten()
        rows = coords[points, corner].to(torch.int64)
        share = weights[points, corner].to(wide.dtype)
        result = result.index_add(0, points, wide.index_select(0, rows) * share[:, None])
    return result.to(feats.dtype)


def calc_ti_weights(coords: Tensor, idx_query: Tensor, scale: float = 1) -> Tensor:
    """Weights (8, points) of trilinear interpolation, one for each corner around a point, z running fastest.

    Args:
        coords: (points, 3) floats, or (points, 4) with the batch index first.
        idx_query: (8, points): the voxel at each corner, -1 for none: its weight is zero, the others sum to one.
        scale: the distance of neighbouring voxels.
    """
    if coords.dim() != 2 or coords.shape[1] not in (3, 4):
        raise ValueError(f"coords must be (points, 3), or (points, 4) with the batch index first, not {coords.shape}")
    if coords.shape[1] == 4 and bool((coords[:, 0] != coords[:, 0].floor()).any()):
        raise ValueError("the batch index, the first of 4 columns of coords, must be whole; reorder the columns")
    if idx_query.shape != (8, len(coords)):
        raise ValueError(f"idx_query must be (8, {len(coords)}), not {tuple(idx_query.shape)}")
    return _corner_weights(coords[:, -3:] / scale, idx_query)


def devoxelize(input: SparseTensor, points: Tensor) -> Tensor:
    """Features (points, channels) between voxels: linear along each axis, among the corners that are there.

    `points` are (points, 1 + axes) floats, the batch index first, in steps of the tensor's level; a voxel's features
    stand at its integer coordinates. A point without a voxel at any corner has zeros. Differentiable in the features.
    """
    input.require_features()
    if points.dim() != 2 or points.shape[1] != 1 + input.ndim:
        raise ValueError(f"points must be (points, {1 + input.ndim}), the batch index first, not {tuple(points.shape)}")
    _require_finite(points)
    if bool((points[:, 0] != points[:, 0].floor()).any()):
        raise ValueError("the batch index, the first column of points, must be whole")
    low = points.detach().floor().to(torch.int64)
    corners = torch.tensor([(0, *corner) for corner in product((0, 1), repeat=input.ndim)], device=points.device)
    rows = torch.stack([rows_at(low + corner, input.coords) for corner in corners])
    weights = _corner_weights(points[:, 1:].to(sum_type(input.feats.dtype)), rows)
    return spdevoxelize(input.feats, rows.T, weights.T)


def voxelize(feats: Tensor, points: Tensor) -> tuple[SparseTensor, Tensor]:
    """Means over the points of each voxel, and the voxel of each point.

    `points` are (points, 1 + axes) floats, the batch index first; a point's voxel is the floor of its coordinates.
    Returns a tensor with sorted voxels, and their rows (points,) int64. Differentiable in `feats`.
    """
    if points.dim() != 2 or len(points) != len(feats):
        raise ValueError(f"points must be ({len(feats)}, 1 + axes), one for each row of feats, not {points.shape}")
    _require_finite(points)
    places = points.detach().floor().to(torch.int64)
    coords = unique_coords(places)
    rows = rows_at(places, coords)
    counts = torch.bincount(rows, minlength=len(coords))
    return SparseTensor(spvoxelize(feats, rows, counts), coords), rows


def _corner_weights(places: Tensor, rows: Tensor) -> Tensor:
    """(corners, points): products of the distances from the opposite corner, zero where no voxel is, normalised."""
    above = places - places.floor()
    weights = torch.ones_like(rows, dtype=places.dtype)
    for number, corner in enumerate(product((0, 1), repeat=places.shape[1])):
        for axis, side in enumerate(corner):
            weights[number] *= above[:, axis] if side else 1 - above[:, axis]
    weights = weights.masked_fill(rows < 0, 0)
    return weights / (weights.sum(dim=0) + 1e-8)


def _require_floats(feats: Tensor) -> None:
    if not feats.is_floating_point() or feats.dim() != 2:
        raise TypeError(f"feats must be (rows, channels) floats, not {feats.dtype} of shape {tuple(feats.shape)}")


def _require_rows(rows: Tensor, count: int, field: str) -> None:
    if rows.numel() and int(rows.max()) >= count:
        raise ValueError(f"{field} must be rows below {count}, or -1 for none, not {int(rows.max())}")


def _require_finite(points: Tensor) -> None:
    if not bool(torch.isfinite(points).all()):
        raise ValueError("points must be finite: some are infinite or NaN")
