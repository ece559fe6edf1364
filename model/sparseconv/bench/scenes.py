"""Scenes of voxels to measure on: a synthetic surface, and real LiDAR scans."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from zeroskip.model.data.scans import load_scan

SIZES = {"street": 0.05, "autzen": 3.0}
"""Size of a voxel, in the unit of the scan: metres, and feet."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Scene:
    """int32 coordinates (voxels, 4), the batch index first."""

    name: str
    coords: Tensor

    def on(self, device: str) -> Scene:
        """The scene with its coordinates on a device."""
        return Scene(name=self.name, coords=self.coords.to(device))


def surface(voxels: int = 50_176) -> Scene:
    """A height field, one voxel for each place of a square: about 8 pairs a voxel, as real scans have."""
    side = round(voxels**0.5)
    x, y = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    # The size of hills does not depend on the number of voxels, nor does the number of pairs of each.
    z = (12 * torch.sin(x / 17) + 9 * torch.cos(y / 13) + 20).long()
    return Scene(name="surface", coords=_coords(torch.stack([x, y, z], dim=-1).reshape(-1, 3)))


def shuffled(voxels: int = 50_176) -> Scene:
    """The surface with its rows in random order: maps need a sort, and neighbours lie far apart in memory."""
    coords = surface(voxels).coords
    return Scene(
        name="shuffled", coords=coords[torch.randperm(len(coords), generator=torch.Generator().manual_seed(0))]
    )


def scan(name: str) -> Scene:
    """A real scan in voxels of SIZES. Raises as zeroskip.model.data.scans.load_scan does."""
    points = load_scan(name)
    voxels = np.floor((points - points.min(axis=0)) / SIZES[name]).astype(np.int64)
    return Scene(name=name, coords=_coords(torch.from_numpy(voxels)))


def _coords(voxels: Tensor) -> Tensor:
    batched = torch.cat([torch.zeros(len(voxels), 1, dtype=torch.int64), voxels], dim=1)
    return torch.unique(batched, dim=0).int()
