"""Small random voxel scenes, and dense convolutions of torch that sparse ones must equal."""

from __future__ import annotations

from itertools import product
from math import prod

import torch
from torch import Tensor

DENSE = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}
DENSE_TRANSPOSED = {1: torch.conv_transpose1d, 2: torch.conv_transpose2d, 3: torch.conv_transpose3d}


def scene(
    random: torch.Generator, batches: list[int], extents: list[int], share: float = 0.3, least: int = 0
) -> Tensor:
    """Different voxels of the named batches in random order: (N, 1 + axes) int32, from `least` on along each axis."""
    every = torch.tensor(list(product(batches, *(range(least, least + extent) for extent in extents))))
    count = max(1, int(share * len(every)))
    return every[torch.randperm(len(every), generator=random)[:count]].to(torch.int32)


def elements(size: list[int]) -> list[tuple[int, ...]]:
    """Elements of a kernel in torchsparse's order: x fastest where their number is odd, z where it is even."""
    if prod(size) % 2 == 0:
        return list(product(*map(range, size)))
    found = []
    for number in range(prod(size)):
        element = []
        for length in size:
            element.append(number % length)
            number //= length
        found.append(tuple(element))
    return found


def dense_weight(weight: Tensor, size: list[int]) -> Tensor:
    """(volume, in, out) as torch's dense (out, in, *size)."""
    dense = weight.new_zeros(weight.shape[2], weight.shape[1], *size)
    for row, element in enumerate(elements(size)):
        dense[(slice(None), slice(None), *element)] = weight[row].T
    return dense


def scatter(feats: Tensor, coords: Tensor, extents: list[int], least: list[int]) -> Tensor:
    """(batches, channels, *extents) with the features at their voxels, index 0 at coordinate `least`."""
    batches = int(coords[:, 0].max()) + 1
    dense = feats.new_zeros(batches, *extents, feats.shape[1])
    places = [coords[:, 0].long(), *(coords[:, axis + 1].long() - low for axis, low in enumerate(least))]
    return dense.index_put(tuple(places), feats).movedim(-1, 1)


def gather(dense: Tensor, coords: Tensor, least: list[int]) -> Tensor:
    """Values (N, channels) of a dense tensor at voxels."""
    places = [coords[:, 0].long(), *(coords[:, axis + 1].long() - low for axis, low in enumerate(least))]
    return dense.movedim(1, -1)[tuple(places)]


def by_pairs(
    feats: Tensor,
    coords: Tensor,
    out_coords: Tensor,
    weight: Tensor,
    size: list[int],
    stride: list[int],
    dilation: list[int],
    first: list[int],
) -> Tensor:
    """The convolution voxel by voxel, from a dictionary: for any number of axes."""
    rows = {tuple(row): number for number, row in enumerate(coords.tolist())}
    result = feats.new_zeros(len(out_coords), weight.shape[2])
    for number, (batch, *place) in enumerate(out_coords.tolist()):
        for row, element in enumerate(elements(size)):
            wanted = (
                place[axis] * stride[axis] + first[axis] + element[axis] * dilation[axis] for axis in range(len(size))
            )
            found = rows.get((batch, *wanted))
            if found is not None:
                result[number] = result[number] + feats[found] @ weight[row]
    return result
