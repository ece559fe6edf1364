"""Normalisation of the features over voxels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

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
        return _batch_by_batch(super().forward, input)


class InstanceNorm(nn.InstanceNorm1d):
    """`torch.nn.InstanceNorm1d`: each channel is normalised over the voxels of its batch.

    torchsparse normalises each voxel over its channels instead, and stops with `affine`. Running statistics
    (`track_running_stats`) are missing: `ValueError`.
    """

    def __init__(
        self,
        num_features: int,
        eps: float = 1e-5,
        momentum: float = 0.1,
        affine: bool = False,
        track_running_stats: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if track_running_stats:
            raise ValueError("track_running_stats must be False: InstanceNorm keeps no running statistics")
        super().__init__(num_features, eps, momentum, affine, track_running_stats, device, dtype)

    def forward(self, input: SparseTensor) -> SparseTensor:  # type: ignore[override]
        """The same voxels with normalised features. A batch needs two voxels at least, as in torch."""
        if input.feats.shape[1] != self.num_features:
            raise ValueError(f"features must have {self.num_features} channels, not {input.feats.shape[1]}")
        return _batch_by_batch(super().forward, input)


def _batch_by_batch(normalise: Callable[[Tensor], Tensor], input: SparseTensor) -> SparseTensor:
    """Normalises (1, channels, voxels) of each batch."""
    batch = input.coords[:, 0]
    result = torch.zeros_like(input.feats)
    for number in batch.unique():
        rows = torch.nonzero(batch == number).flatten()
        normalised = normalise(input.feats[rows].T[None])[0].T
        result = result.index_copy(0, rows, normalised.to(result.dtype))
    return input.with_feats(result)
