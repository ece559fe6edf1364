"""Random layers through spconv and through zeroskip: prints how many were compared.

Run it by itself with OMP_NUM_THREADS=1: with more threads spconv 2.3.8 is wrong on a CPU.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import product
from typing import Any

import spconv.pytorch as spconv
import torch
from torch import Tensor

from zeroskip.model.sparseconv.functional import conv
from zeroskip.model.sparseconv.kernel import from_spconv
from zeroskip.model.sparseconv.tensor import SparseTensor

EXTENTS = [7, 6, 8]


def by_coords(coords: Tensor, feats: Tensor) -> dict[tuple[int, ...], Tensor]:
    """Features by voxel: spconv's rows are in another order."""
    return {tuple(row): value for row, value in zip(coords.tolist(), feats, strict=True)}


def require_equal(ours: SparseTensor, theirs: Any) -> None:
    """Equal voxels, and close features."""
    found, wanted = by_coords(ours.coords, ours.feats), by_coords(theirs.indices, theirs.features)
    assert set(found) == set(wanted), (len(found), len(wanted))
    for place, value in found.items():
        torch.testing.assert_close(value, wanted[place], rtol=1e-4, atol=1e-4)


def compare(seed: int) -> None:
    """One random scene through a submanifold, a strided, an inverse and a transposed layer of each library."""
    choose = random.Random(seed)
    torch.manual_seed(seed)
    size, stride, dilation = choose.randint(2, 4), choose.randint(1, 3), choose.randint(1, 2)
    padding = choose.randint(0, 1)
    if (min(EXTENTS) + 2 * padding - dilation * (size - 1) - 1) < 0:
        return
    every = torch.tensor(list(product([0, 2], *map(range, EXTENTS))))
    coords = every[torch.randperm(len(every))[: choose.randint(10, 200)]].int().contiguous()
    feats = torch.randn(len(coords), 5)
    ours = SparseTensor(feats, coords, stride=stride, spatial_range=(3, *EXTENTS))
    theirs = spconv.SparseConvTensor(feats, coords, EXTENTS, 3)

    def both(layer: Any, size: int, input: SparseTensor, other: Any, **arguments: Any) -> tuple[SparseTensor, Any]:
        result = layer(other)
        found = conv(input, from_spconv(layer.weight, layer.stride), size, **arguments)
        require_equal(found, result)
        return found, result

    make: Callable[..., Any] = spconv.SubMConv3d
    both(make(5, 6, 3, dilation=dilation, bias=False), 3, ours, theirs, dilation=dilation)
    both(make(5, 6, 1, bias=False), 1, ours, theirs)
    both(spconv.SparseConv3d(5, 6, 1, bias=False), 1, ours, theirs, convention="spconv", submanifold=False)
    rule = {"stride": stride, "padding": padding, "dilation": dilation, "submanifold": False}
    layer = spconv.SparseConv3d(
        5, 6, size, stride=stride, padding=padding, dilation=dilation, bias=False, indice_key="down"
    )
    coarse, their_coarse = both(layer, size, ours, theirs, convention="spconv", **rule)
    if len(coarse):
        up = spconv.SparseInverseConv3d(6, 4, size, indice_key="down", bias=False)
        both(up, size, coarse, their_coarse, transposed=True, convention="spconv", **rule)
    # spconv leaves dilation out of the size of a transposed layer's result.
    rule["dilation"] = 1
    wide = spconv.SparseConvTranspose3d(5, 3, size, stride=stride, padding=padding, bias=False)
    both(wide, size, ours, theirs, transposed=True, generative=True, convention="spconv", **rule)


if __name__ == "__main__":
    torch.set_num_threads(1)
    with torch.no_grad():
        for number in range(40):
            compare(number)
    print("40 scenes are equal")
