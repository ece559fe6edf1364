"""Cutting out a box."""

from __future__ import annotations

from torch import nn

from zeroskip.model.sparseconv.operators import spcrop
from zeroskip.model.sparseconv.tensor import SparseTensor


class SparseCrop(nn.Module):
    """`spcrop` as a layer."""

    def __init__(self, coords_min: tuple[int, ...] | None = None, coords_max: tuple[int, ...] | None = None) -> None:
        super().__init__()
        self.coords_min = coords_min
        self.coords_max = coords_max

    def forward(self, input: SparseTensor) -> SparseTensor:
        """The voxels from `coords_min` on to below `coords_max`."""
        return spcrop(input, self.coords_min, self.coords_max)
