"""Normalisation of the features over voxels."""

from __future__ import annotations

import torch
from torch import nn

from zeroskip.model.sparseconv.operators import fapply
from zeroskip.model.sparseconv.tensor import SparseTensor


class BatchNorm(nn.BatchNorm1d):
    """`torch.nn.BatchNorm1d` over all voxels of all batches: each voxel counts once."""

    def forward(self, input: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same voxels with normalised features. Training needs two voxels at least, as in torch."""
        return fapply(input, super().forward)


class GroupNorm(nn.GroupNorm):
    """`torch.nn.GroupNorm` with statistics of each batch over its own voxels."""

    def forward(self, input: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same voxels with normalised features."""
        batch = input.coords[:, 0]
        result = torch.zeros_like(input.feats)
        for number in batch.unique():
            rows = torch.nonzero(batch == number).flatten()
            normalised = super().forward(input.feats[rows].T[None])[0].T
            result = result.index_copy(0, rows, normalised.to(result.dtype))
        return input.with_feats(result)
