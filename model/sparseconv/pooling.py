"""Pooling over the voxels that are there: absent ones count neither as zeros nor in averages."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from zeroskip.model.sparseconv.functional import find_map, out_stride
from zeroskip.model.sparseconv.kernel import kernel_elements
from zeroskip.model.sparseconv.maps import KernelMap
from zeroskip.model.sparseconv.reference import sum_type
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.tuples import Size, make_ntuple


def max_pool(
    input: SparseTensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    convention: str | None = None,
    submanifold: bool = False,
) -> SparseTensor:
    """The largest feature, channel by channel, of the voxels that each output sees.

    Args:
        stride: None: the kernel size, as in torch.
        convention: where outputs are, see `maps.strided_map`. None: "spconv", as a dense pooling.
        submanifold: outputs at the inputs' voxels (stride 1).

    The gradient goes to the first of equal values, in the order of dense kernels, as in torch. An output of convention
    "minkowski" that sees no voxel is zero.
    """
    kmap, place = _pooled_map(input, kernel_size, stride, padding, dilation, convention, submanifold)
    rows = _largest(input.feats.detach(), kmap)
    largest = input.feats.gather(0, rows.clamp(min=0)) if len(input) else input.feats.new_zeros(rows.shape)
    return input._sharing(largest.masked_fill(rows < 0, 0), kmap.out_coords, place, kmap.out_range)


def avg_pool(
    input: SparseTensor,
    kernel_size: Size,
    stride: Size | None = None,
    padding: Size = 0,
    dilation: Size = 1,
    *,
    convention: str | None = None,
    submanifold: bool = False,
) -> SparseTensor:
    """The mean feature of the voxels that each output sees; arguments as those of `max_pool`.

    Sums of float16 and bfloat16 are taken in float32. Raises `TypeError` for integer features.
    """
    if not input.feats.is_floating_point():
        raise TypeError(f"feats of an average must be floats, not {input.feats.dtype}")
    kmap, place = _pooled_map(input, kernel_size, stride, padding, dilation, convention, submanifold)
    wide = input.feats.to(sum_type(input.feats.dtype))
    sums = wide.new_zeros(kmap.out_count, wide.shape[1])
    sums = sums.index_add(0, kmap.outputs, wide.index_select(0, kmap.inputs))
    seen = torch.bincount(kmap.outputs, minlength=kmap.out_count).clamp(min=1)
    means = (sums / seen[:, None]).to(input.feats.dtype)
    return input._sharing(means, kmap.out_coords, place, kmap.out_range)


def global_max_pool(inputs: SparseTensor) -> Tensor:
    """(batches, channels): the largest feature of each batch, zero for a batch without voxels.

    Batches are those of the spatial range, or up to the last one that has voxels.
    """
    return _reduced(inputs, lambda feats: feats.max(dim=0).values)


def global_avg_pool(inputs: SparseTensor) -> Tensor:
    """(batches, channels): the mean feature of each batch; batches as in `global_max_pool`."""
    if not inputs.feats.is_floating_point():
        raise TypeError(f"feats of an average must be floats, not {inputs.feats.dtype}")
    return _reduced(inputs, lambda feats: feats.mean(dim=0))


def _reduced(inputs: SparseTensor, reduce: Callable[[Tensor], Tensor]) -> Tensor:
    rows = [reduce(feats) if len(feats) else feats.new_zeros(feats.shape[1]) for feats in _by_batch(inputs)]
    return torch.stack(rows) if rows else inputs.feats


def _batches(inputs: SparseTensor) -> int:
    if inputs.spatial_range is not None:
        return inputs.spatial_range[0]
    return int(inputs.coords[:, 0].max()) + 1 if len(inputs) else 0


def _by_batch(inputs: SparseTensor) -> list[Tensor]:
    """The features of each batch, in the order of their rows."""
    inputs.require_features()
    batch = inputs.coords[:, 0].to(torch.int64)
    counts = torch.bincount(batch, minlength=_batches(inputs)).tolist()
    return list(inputs.feats[torch.argsort(batch, stable=True)].split(counts)) if counts else []


def _pooled_map(
    input: SparseTensor,
    kernel_size: Size,
    stride: Size | None,
    padding: Size,
    dilation: Size,
    convention: str | None,
    submanifold: bool,
) -> tuple[KernelMap, tuple[int, ...]]:
    input.require_features()
    steps = make_ntuple(kernel_size if stride is None else stride, input.ndim, "stride", least=1)
    kmap = find_map(input, kernel_size, steps, dilation, padding, convention=convention, submanifold=submanifold)
    return kmap, out_stride(input, steps, transposed=False)


def _largest(feats: Tensor, kmap: KernelMap) -> Tensor:
    """(outputs, channels) int64: the row of the largest feature, -1 where none is seen. A NaN is the largest."""
    best = feats.new_zeros(kmap.out_count, feats.shape[1])
    rows = torch.full(best.shape, -1, dtype=torch.int64, device=feats.device)
    elements = kernel_elements(kmap.geometry.size)
    for element in sorted(range(kmap.volume), key=lambda number: elements[number]):
        inputs, outputs = kmap.pairs(element)
        if not len(inputs):
            continue
        seen, known, row = feats[inputs], best[outputs], rows[outputs]
        better = (row < 0) | (seen > known) | ((seen != seen) & (known == known))
        best[outputs] = torch.where(better, seen, known)
        rows[outputs] = torch.where(better, inputs[:, None].to(torch.int64), row)
    return rows
