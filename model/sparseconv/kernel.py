"""The elements of a kernel: their order, as each library lays its weights out, and where they reach.

All conventions are one rule with other numbers: output o meets input i through element k of the kernel where

    i = o * stride + first + k * dilation            (along each axis, k from 0 to size - 1)

- submanifold: stride 1, `first` puts the kernel's centre on the output: element 1 of 3, 1 of 4, 0 of 2, as torchsparse
- strided, "spconv": first = -padding, as a dense convolution
- strided, "minkowski": the centre of an odd kernel, element 0 of an even one (MinkowskiEngine, `kernel_region.hpp`)
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from math import prod

import torch
from torch import Tensor


def centred_first(size: int) -> int:
    """The first offset of torchsparse's kernels: -1 for 3, 0 for 2, -1 for 4."""
    return -((size - 1) // 2)


def minkowski_first(size: int) -> int:
    """The first offset of MinkowskiEngine's kernels: -1 for 3, 0 for every even size."""
    return -(size // 2) if size % 2 else 0


def first_axis_fastest(size: Sequence[int]) -> list[tuple[int, ...]]:
    """Elements of a kernel with the first axis (x) running fastest: MinkowskiEngine's order."""
    return [element[::-1] for element in product(*(range(length) for length in size[::-1]))]


def last_axis_fastest(size: Sequence[int]) -> list[tuple[int, ...]]:
    """Elements of a kernel with the last axis running fastest: the order of dense weights, and of spconv's."""
    return list(product(*(range(length) for length in size)))


def kernel_elements(size: Sequence[int]) -> list[tuple[int, ...]]:
    """Elements of a kernel in the order of the weights here, that of torchsparse 2.1 (`get_kernel_offsets`).

    The first axis runs fastest where the number of elements is odd, the last where it is even.
    """
    return first_axis_fastest(size) if prod(size) % 2 else last_axis_fastest(size)


def kernel_offsets(
    size: Sequence[int], dilation: Sequence[int] | None = None, first: Callable[[int], int] = centred_first
) -> list[tuple[int, ...]]:
    """Offsets of a kernel's elements from the output's place, in the order of the weights."""
    steps = dilation or [1] * len(size)
    return [
        tuple((entry + first(length)) * step for entry, length, step in zip(element, size, steps, strict=True))
        for element in kernel_elements(size)
    ]


def _rows(source: list[tuple[int, ...]], size: Sequence[int]) -> list[int]:
    place = {element: row for row, element in enumerate(source)}
    return [place[element] for element in kernel_elements(size)]


def from_minkowski(weight: Tensor, size: Sequence[int]) -> Tensor:
    """Weights (volume, in, out) of MinkowskiEngine in the order used here."""
    if prod(size) == 1:
        return weight.reshape(weight.shape[-2:])
    return weight[_rows(first_axis_fastest(size), size)]


def from_spconv(weight: Tensor, stride: Sequence[int]) -> Tensor:
    """Weights (out, *size, in) of a layer of spconv 2 in the order used here: (volume, in, out).

    A kernel of one element with stride 1 is different. spconv's weight has the shape (out, 1, 1, 1, in), but spconv
    multiplies by `weight.view(in, out)`: the values are those of a matrix (in, out), row by row.
    """
    if prod(weight.shape[1:-1]) == 1 and set(stride) == {1}:
        return weight.reshape(weight.shape[-1], weight.shape[0])
    return from_channels_last(weight)


def from_channels_last(weight: Tensor) -> Tensor:
    """Weights (out, *size, in) in the order used here: (volume, in, out)."""
    size = weight.shape[1:-1]
    flat = weight.reshape(weight.shape[0], prod(size), weight.shape[-1]).permute(1, 2, 0)
    if prod(size) == 1:
        return flat[0].contiguous()
    return flat[_rows(last_axis_fastest(size), size)]


def from_dense(weight: Tensor) -> Tensor:
    """Weights (out, in, *size) of a dense convolution in the order used here: (volume, in, out)."""
    return from_channels_last(weight.movedim(1, -1))


def to_dense_weight(weight: Tensor, size: Sequence[int]) -> Tensor:
    """Weights (volume, in, out) as those of a dense convolution: (out, in, *size)."""
    volume = weight.reshape(prod(size), *weight.shape[-2:])
    rows = torch.empty(len(volume), dtype=torch.int64)
    rows[_rows(last_axis_fastest(size), size)] = torch.arange(len(volume))
    return volume[rows.to(weight.device)].permute(2, 1, 0).reshape(weight.shape[-1], weight.shape[-2], *size)
