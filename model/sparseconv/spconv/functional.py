"""Sums of tensors whose voxels differ."""

from __future__ import annotations

import torch

from zeroskip.model.sparseconv.keys import unique_coords
from zeroskip.model.sparseconv.lookup import rows_at
from zeroskip.model.sparseconv.spconv.tensor import SparseConvTensor


def sparse_add(*tens: SparseConvTensor) -> SparseConvTensor:
    """Sums features at the voxels of any of the tensors.

    Where one tensor has all of these voxels, the result has its rows and its maps by name; otherwise sorted rows and no
    maps, so that no inverse layer can follow. Raises `ValueError` unless spatial shapes, batches and channels are
    equal.
    """
    if not tens:
        raise ValueError("sparse_add needs at least one tensor")
    for field, values in (
        ("spatial_shape", [ten.spatial_shape for ten in tens]),
        ("batch_size", [ten.batch_size for ten in tens]),
        ("the number of channels", [ten.features.shape[1] for ten in tens]),
    ):
        if any(value != values[0] for value in values):
            raise ValueError(f"{field} must be equal for all tensors of a sum, not {', '.join(map(str, values))}")
    inputs = [ten.voxels() for ten in tens]
    coords = unique_coords(torch.cat([voxels.coords for voxels in inputs]))
    largest = max(tens, key=lambda ten: len(ten.indices))
    has_all = len(largest.indices) == len(coords)
    if has_all:
        coords = largest.indices
    sums = tens[0].features.new_zeros(len(coords), tens[0].features.shape[1])
    for voxels in inputs:
        sums = sums.index_add(0, rows_at(voxels.coords, coords), voxels.feats)
    if has_all:
        return largest.replace_feature(sums)
    return SparseConvTensor(sums, coords, tens[0].spatial_shape, tens[0].batch_size)
