"""Which row holds a coordinate: by exact keys, where torchsparse has hashes."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroskip.model.sparseconv.kernel import kernel_offsets
from zeroskip.model.sparseconv.keys import KeyLayout, bounds, index_of, sorted_coords
from zeroskip.model.sparseconv.tuples import Size, make_ntuple

_HASH_BITS = 16


def rows_at(places: Tensor, coords: Tensor) -> Tensor:
    """The row of `coords` (N, 1 + axes) that holds each of `places` (M, 1 + axes); -1 where none does. int64 (M,).

    Raises `ValueError` where `coords` has two equal rows.
    """
    if places.shape[1] != coords.shape[1]:
        raise ValueError(f"places must have the {coords.shape[1]} columns of coords, not {places.shape[1]}")
    if not len(coords) or not len(places):
        return torch.full((len(places),), -1, dtype=torch.int64, device=places.device)
    low, high = bounds(places)
    index = index_of(coords)
    layout = KeyLayout.spanning(
        [min(pair) for pair in zip(low, index.least, strict=True)],
        [max(pair) for pair in zip(high, index.largest, strict=True)],
    )
    keys, wanted = layout.pack(sorted_coords(coords)), layout.pack(places)
    found = torch.searchsorted(keys, wanted).clamp_(max=len(keys) - 1)
    rows = found if index.order is None else index.order[found]
    return torch.where(keys[found] == wanted, rows, -1)


def get_kernel_offsets(size: Size, stride: Size = 1, dilation: Size = 1, device: str | torch.device = "cpu") -> Tensor:
    """Offsets of a kernel's elements in the order of the weights, times stride and dilation: (volume, 3) int32."""
    lengths, steps, spread = (
        make_ntuple(value, 3, field, least=1)
        for value, field in ((size, "size"), (stride, "stride"), (dilation, "dilation"))
    )
    scale = [step * spreading for step, spreading in zip(steps, spread, strict=True)]
    return torch.tensor(kernel_offsets(lengths, scale), dtype=torch.int32, device=device)


def sphash(coords: Tensor, offsets: Tensor | None = None) -> Tensor:
    """Keys (N,) int64 of coordinates (N, 1 + axes) with up to three axes, the batch index first.

    torchsparse's name; these are no hashes: different coordinates have different keys. With `offsets` (V, axes) keys
    (V, N) of the coordinates moved by each. Raises `ValueError` for values that do not fit into 16 bits.
    """
    if coords.dim() != 2 or not 2 <= coords.shape[1] <= 4:
        raise ValueError(f"coords must be (N, 1 + axes) with 1 to 3 axes, not {tuple(coords.shape)}")
    if coords.is_floating_point():
        raise TypeError(f"coords must be integers, not {coords.dtype}")
    if offsets is None:
        return _packed(coords)
    if offsets.dim() != 2 or offsets.shape[1] != coords.shape[1] - 1:
        raise ValueError(f"offsets must be (V, {coords.shape[1] - 1}), not {tuple(offsets.shape)}")
    moved = coords.to(torch.int64).repeat(len(offsets), 1, 1)
    moved[..., 1:] += offsets.to(torch.int64)[:, None]
    return _packed(moved.flatten(0, 1)).view(len(offsets), len(coords))


def sphashquery(queries: Tensor, references: Tensor) -> Tensor:
    """The place in `references` (M,) of each key in `queries` (any shape); -1 where there is none; int64.

    Of equal references the first is found.
    """
    if not len(references):
        return torch.full(queries.shape, -1, dtype=torch.int64, device=queries.device)
    keys, order = torch.sort(references, stable=True)
    found = torch.searchsorted(keys, queries.contiguous()).clamp_(max=len(keys) - 1)
    return torch.where(keys[found] == queries, order[found], -1)


def spcount(coords: Tensor, num: int) -> Tensor:
    """How often each number from 0 to below `num` occurs; negative ones do not count: (num,) int32."""
    return torch.bincount(coords[coords >= 0].to(torch.int64), minlength=num).to(torch.int32)


def _packed(coords: Tensor) -> Tensor:
    least, largest = bounds(coords)
    half = 1 << (_HASH_BITS - 1)
    if min(least) < -half or max(largest) >= half:
        raise ValueError(
            f"coords must lie from {-half} to {half - 1} for sphash, not from {min(least)} to {max(largest)}"
        )
    keys = torch.zeros(len(coords), dtype=torch.int64, device=coords.device)
    for column in coords.to(torch.int64).T:
        # Four fields of 16 bits fill all 64: the top field's sign is that of the key, so keys sort as coordinates do.
        keys = (keys << _HASH_BITS) + column
    return keys
