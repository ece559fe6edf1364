"""What joins tensors, cuts them, and takes them to dense ones and back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from zeroskip.model.sparseconv.tensor import SparseTensor, require_same_voxels
from zeroskip.model.sparseconv.tuples import make_ntuple


def fapply(input: SparseTensor, fn: Callable[..., Tensor], *args: Any, **kwargs: Any) -> SparseTensor:
    """The same voxels with the features that a function of (N, channels) returns."""
    return input.with_feats(fn(input.feats, *args, **kwargs))


def cat(inputs: Sequence[SparseTensor]) -> SparseTensor:
    """Joins tensors along their channels. Raises `ValueError` unless strides and coordinates are equal."""
    if not inputs:
        raise ValueError("cat needs at least one tensor")
    first, *others = inputs
    for other in others:
        require_same_voxels(first, other)
    return first.with_feats(torch.cat([tensor.feats for tensor in inputs], dim=1))


def spcrop(
    input: SparseTensor,
    coords_min: Sequence[int] | None = None,
    coords_max: Sequence[int] | None = None,
) -> SparseTensor:
    """The voxels from `coords_min` on to below `coords_max`, one limit for each axis (without the batch index).

    Coordinates stay as they are. The result has caches of its own.
    """
    input.require_rows()
    places = input.coords[:, 1:]
    kept = torch.ones(len(input), dtype=torch.bool, device=places.device)
    if coords_min is not None:
        low = make_ntuple(coords_min, input.ndim, "coords_min")
        kept &= (places >= torch.tensor(low, device=places.device)).all(dim=1)
    if coords_max is not None:
        high = make_ntuple(coords_max, input.ndim, "coords_max")
        kept &= (places < torch.tensor(high, device=places.device)).all(dim=1)
    return SparseTensor(input.feats[kept], input.coords[kept], input.stride, input.spatial_range)


def to_dense(feats: Tensor, coords: Tensor, spatial_range: tuple[int, ...]) -> Tensor:
    """(batches, *extents, channels) with zeros where no voxel is; see `SparseTensor.dense`."""
    return SparseTensor(feats, coords).dense(spatial_range)


def from_dense(dense: Tensor, stride: int | Sequence[int] = 1) -> SparseTensor:
    """The voxels of (batches, *extents, channels) that have a value other than zero in any channel.

    The spatial range is the size of the dense tensor. Features are differentiable.
    """
    if not 3 <= dense.dim() <= 6:
        raise ValueError(f"dense must be (batches, *extents, channels) with 1 to 4 extents, not {tuple(dense.shape)}")
    places = torch.nonzero((dense != 0).any(dim=-1))
    return SparseTensor(dense[tuple(places.T)], places, stride, tuple(dense.shape[:-1]))
