"""Activations of the features, voxel by voxel; arguments are those of torch's layers."""

from __future__ import annotations

from torch import nn

from zeroskip.model.sparseconv.operators import fapply
from zeroskip.model.sparseconv.tensor import SparseTensor


class ReLU(nn.ReLU):
    """`torch.nn.ReLU` of the features."""

    def forward(self, input: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same voxels with activated features."""
        return fapply(input, super().forward)


class LeakyReLU(nn.LeakyReLU):
    """`torch.nn.LeakyReLU` of the features."""

    def forward(self, input: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same voxels with activated features."""
        return fapply(input, super().forward)


class SiLU(nn.SiLU):
    """`torch.nn.SiLU` of the features."""

    def forward(self, input: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same voxels with activated features."""
        return fapply(input, super().forward)


class Dropout(nn.Dropout):
    """`torch.nn.Dropout` of the features."""

    def forward(self, input: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same voxels, some features zero while training."""
        return fapply(input, super().forward)
