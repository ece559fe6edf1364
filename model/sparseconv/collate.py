"""Several scenes into one batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from zeroskip.model.sparseconv.tensor import SparseTensor


def sparse_collate(inputs: Sequence[SparseTensor]) -> SparseTensor:
    """One tensor of scenes whose coordinates have no batch index yet; scene k becomes batch k.

    Raises `ValueError` for different strides, or where the tensors differ in columns or channels.
    """
    if not inputs:
        raise ValueError("sparse_collate needs at least one tensor")
    first = inputs[0]
    for other in inputs:
        other.require_rows()
        if other.stride != first.stride:
            raise ValueError(f"strides must be equal, not {first.stride} and {other.stride}")
        if other.coords.shape[1] != first.coords.shape[1] or other.feats.shape[1:] != first.feats.shape[1:]:
            raise ValueError(
                "tensors must have as many columns of coords and of feats, not "
                f"{tuple(first.coords.shape)}, {tuple(first.feats.shape)} and "
                f"{tuple(other.coords.shape)}, {tuple(other.feats.shape)}"
            )
    coords = [torch.nn.functional.pad(tensor.coords, (1, 0), value=number) for number, tensor in enumerate(inputs)]
    # Without a batch index the first axis was taken for one, so the tensor has one number of stride too few.
    stride = (*first.stride, first.stride[-1])
    return SparseTensor(torch.cat([tensor.feats for tensor in inputs]), torch.cat(coords), stride)


def sparse_collate_fn(inputs: Sequence[Any]) -> Any:
    """Collates samples, for `torch.utils.data.DataLoader`: dictionaries entry by entry, other samples as a list.

    Sparse tensors are collated, arrays and tensors stacked, dictionaries collated in turn, the rest listed.
    """
    if not isinstance(inputs[0], dict):
        return inputs
    return {name: _collated([sample[name] for sample in inputs]) for name in inputs[0]}


def _collated(values: list[Any]) -> Any:
    first = values[0]
    if isinstance(first, dict):
        return sparse_collate_fn(values)
    if isinstance(first, SparseTensor):
        return sparse_collate(values)
    if isinstance(first, np.ndarray):
        return torch.stack([torch.as_tensor(value) for value in values])
    if isinstance(first, torch.Tensor):
        return torch.stack(values)
    return values
