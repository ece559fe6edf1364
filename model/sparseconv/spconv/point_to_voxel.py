"""The points of each voxel, as spconv's voxel generator gives them."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import torch
from torch import Tensor


class PointToVoxel:
    """Sorts points into voxels.

    Args:
        vsize_xyz: extents of a voxel along x, y, z.
        coors_range_xyz: the least x, y, z, then the largest; points outside are dropped.
        num_point_features: columns of a point; x, y, z are the first.
        max_num_voxels: voxels beyond this number are dropped, in the order of their first points.
        max_num_points_per_voxel: points of a voxel beyond this number are dropped, in the order of the points.
        device: where the results are.

    `grid_size` are the voxels along z, y, x. Raises `ValueError` for numbers below one, and for extents and ranges that
    do not fit each other.
    """

    def __init__(
        self,
        vsize_xyz: Sequence[float],
        coors_range_xyz: Sequence[float],
        num_point_features: int,
        max_num_voxels: int,
        max_num_points_per_voxel: int,
        device: torch.device | str = "cpu",
    ) -> None:
        self.ndim = len(vsize_xyz)
        if len(coors_range_xyz) != 2 * self.ndim:
            raise ValueError(f"coors_range_xyz must have {2 * self.ndim} numbers, not {len(coors_range_xyz)}")
        for field, value, least in (
            ("num_point_features", num_point_features, self.ndim),
            ("max_num_voxels", max_num_voxels, 1),
            ("max_num_points_per_voxel", max_num_points_per_voxel, 1),
        ):
            if value < least:
                raise ValueError(f"{field} must be at least {least}, not {value}")
        if min(vsize_xyz) <= 0:
            raise ValueError(f"vsize_xyz must be above zero, not {tuple(vsize_xyz)}")
        self.num_point_features, self.max_num_voxels = num_point_features, max_num_voxels
        self.max_num_points_per_voxel, self.device = max_num_points_per_voxel, torch.device(device)
        # spconv computes in float32, so that a point on a border has the same voxel.
        self._size = torch.tensor(vsize_xyz, dtype=torch.float32).flip(0)
        least_largest = torch.tensor(coors_range_xyz, dtype=torch.float32).view(2, self.ndim).flip(1)
        self._least = least_largest[0]
        self.grid_size = [round(extent) for extent in ((least_largest[1] - self._least) / self._size).tolist()]
        if min(self.grid_size) < 1:
            raise ValueError(f"coors_range_xyz must span a voxel at least, not {tuple(coors_range_xyz)}")

    def __call__(
        self, pc: Tensor, clear_voxels: bool = True, empty_mean: bool = False
    ) -> tuple[Tensor, Tensor, Tensor]:
        """See `generate_voxel_with_id`, without the last result."""
        return self.generate_voxel_with_id(pc, clear_voxels, empty_mean)[:3]

    def generate_voxel_with_id(
        self, pc: Tensor, clear_voxels: bool = True, empty_mean: bool = False
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Voxels (M, most points, features) float32, filled up with zeros or, with `empty_mean`, with the mean of their
        points; their indices (M, axes) int32 along z, y, x; the points of each (M,) int32; and the voxel of each point
        (points,) int64, -1 for none.

        `clear_voxels` changes nothing here: results are new tensors. Raises `ValueError` for another shape.
        """
        if pc.dim() != 2 or pc.shape[1] != self.num_point_features or not pc.is_floating_point():
            raise ValueError(
                f"points must be (points, {self.num_point_features}) floats, not {pc.dtype} of shape {tuple(pc.shape)}"
            )
        pc = pc.to(self.device)
        grid = torch.tensor(self.grid_size, device=self.device)
        least, size = (bound.to(self.device, pc.dtype) for bound in (self._least, self._size))
        places = ((pc[:, : self.ndim].flip(1) - least) / size).floor()
        points = torch.nonzero(((places >= 0) & (places < grid)).all(dim=1)).flatten()
        places = places[points].to(torch.int64)
        strides = torch.tensor([prod(self.grid_size[axis + 1 :]) for axis in range(self.ndim)], device=self.device)
        keys, voxel = torch.unique((places * strides).sum(dim=1), return_inverse=True)
        # Voxels are numbered by their first points.
        first = torch.full((len(keys),), len(points), device=self.device)
        first = first.scatter_reduce(0, voxel, torch.arange(len(points), device=self.device), "amin")
        first, order = torch.sort(first)
        number = torch.empty_like(order)
        number[order] = torch.arange(len(order), device=self.device)
        voxel = number[voxel]
        count = min(len(keys), self.max_num_voxels)
        inside = voxel < count
        points, voxel, indices = points[inside], voxel[inside], places[first[:count]].to(torch.int32)
        of_points = torch.full((len(pc),), -1, dtype=torch.int64, device=self.device)
        of_points[points] = voxel

        voxel, order = torch.sort(voxel, stable=True)
        per_voxel = torch.bincount(voxel, minlength=count)
        slot = torch.arange(len(voxel), device=self.device) - (per_voxel.cumsum(0) - per_voxel)[voxel]
        kept = slot < self.max_num_points_per_voxel
        voxels = torch.zeros(count, self.max_num_points_per_voxel, pc.shape[1], device=self.device)
        voxels[voxel[kept], slot[kept]] = pc[points[order[kept]]].to(torch.float32)
        per_voxel = per_voxel.clamp(max=self.max_num_points_per_voxel)
        if empty_mean:
            means = voxels.sum(dim=1) / per_voxel[:, None]
            empty = torch.arange(self.max_num_points_per_voxel, device=self.device) >= per_voxel[:, None]
            voxels = torch.where(empty[..., None], means[:, None], voxels)
        return voxels, indices, per_voxel.to(torch.int32), of_points


def gather_features_by_pc_voxel_id(seg_res_features: Tensor, pc_voxel_id: Tensor, invalid_value: float = 0) -> Tensor:
    """The features of the voxel of each point, `invalid_value` for points of no voxel (-1)."""
    ids = pc_voxel_id.to(seg_res_features.device)
    rows = (
        seg_res_features[ids.clamp(min=0)]
        if len(seg_res_features)
        else seg_res_features.new_zeros(len(ids), *seg_res_features.shape[1:])
    )
    missing = (ids < 0).view(-1, *[1] * (seg_res_features.dim() - 1))
    return rows.masked_fill(missing, invalid_value)
