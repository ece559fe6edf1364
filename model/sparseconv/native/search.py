"""Sorting keys and searching them, by compiled kernels."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from itertools import accumulate

import torch
from torch import Tensor

from zeroskip.model.sparseconv.native.library import integer, pointer, threads


def bounds(kernels: ctypes.CDLL, coords: Tensor) -> tuple[list[int], list[int]]:
    """Least and largest value of each column of coordinates (N, columns) int32."""
    found = torch.empty(2, coords.shape[1], dtype=torch.int64)
    kernels.zeroskip_bounds(
        pointer(coords),
        integer(len(coords)),
        integer(coords.shape[1]),
        pointer(found[0]),
        pointer(found[1]),
        threads(coords.numel()),
    )
    least, largest = found.tolist()
    return least, largest


def pack(
    kernels: ctypes.CDLL,
    coords: Tensor,
    least: Sequence[int],
    shifts: Sequence[int],
    order: Tensor | None = None,
    scale: Sequence[int] | None = None,
) -> tuple[Tensor, bool]:
    """Keys (N,) of coords[order] * scale, and whether they increase strictly."""
    keys = torch.empty(len(coords), dtype=torch.int64)
    columns = [torch.tensor(values, dtype=torch.int64) for values in (scale or [1] * coords.shape[1], least, shifts)]
    increasing = kernels.zeroskip_pack(
        pointer(coords),
        integer(len(coords)),
        integer(coords.shape[1]),
        pointer(order),
        *(pointer(values) for values in columns),
        pointer(keys),
        threads(coords.numel()),
    )
    return keys, bool(increasing)


def sort(kernels: ctypes.CDLL, keys: Tensor, bits: int) -> Tensor:
    """Sorts keys of so many bits in place; returns where each was before."""
    order = torch.empty_like(keys)
    kernels.zeroskip_sort(pointer(keys), pointer(order), integer(len(keys)), bits, threads(8 * len(keys)))
    return order


def unique(kernels: ctypes.CDLL, keys: Tensor, bits: int) -> Tensor:
    """The different ones of keys of so many bits, sorted. Their order is changed in place."""
    count = kernels.zeroskip_unique(pointer(keys), integer(len(keys)), bits, threads(8 * len(keys)))
    return keys[:count]


def unpack(kernels: ctypes.CDLL, keys: Tensor, layout: tuple[Sequence[int], ...]) -> Tensor:
    """Coordinates (N, columns) int32 of keys. `layout`: least values, shifts and widths of the columns."""
    coords = torch.empty(len(keys), len(layout[0]), dtype=torch.int32)
    least, shifts, bits = (torch.tensor(values, dtype=torch.int64) for values in layout)
    kernels.zeroskip_unpack(
        pointer(keys),
        integer(len(keys)),
        integer(coords.shape[1]),
        pointer(least),
        pointer(shifts),
        pointer(bits),
        pointer(coords),
        threads(coords.numel()),
    )
    return coords


def reached(
    kernels: ctypes.CDLL,
    coords: Tensor,
    size: Sequence[int],
    stride: Sequence[int],
    first: Sequence[int],
    dilation: Sequence[int],
    least: Sequence[int],
    largest: Sequence[int],
    shifts: Sequence[int],
) -> Tensor:
    """Keys of the outputs that see an input of coords (N, 1 + axes), with repetitions. `least`, `largest` and `shifts`
    are of the outputs' columns, the batch index first."""
    tables = [
        torch.tensor(tuple(values), dtype=torch.int64)
        for values in (size, stride, first, dilation, least, largest, shifts)
    ]
    arguments = (pointer(coords), integer(len(coords)), integer(len(size)), *map(pointer, tables))
    work = threads(len(coords) * sum(size))
    keys = torch.empty(kernels.zeroskip_reached(*arguments, None, work), dtype=torch.int64)
    kernels.zeroskip_reached(*arguments, pointer(keys), work)
    return keys


def pairs(
    kernels: ctypes.CDLL,
    keys: Tensor,
    order: Tensor | None,
    queries: Tensor,
    out_order: Tensor | None,
    steps: Sequence[int],
    symmetric: bool,
) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """(inputs, outputs, starts) of a kernel map: for each step and query, the key that equals their sum.

    Keys and queries are sorted; their orders give the rows. With symmetry the first half of the elements is looked up.
    """
    looked_up = len(steps) // 2 if symmetric else len(steps)
    counts = torch.zeros(len(steps), dtype=torch.int64)
    table = torch.tensor(steps, dtype=torch.int64)
    handle = kernels.zeroskip_search(
        pointer(keys),
        integer(len(keys)),
        pointer(order),
        pointer(queries),
        integer(len(queries)),
        pointer(out_order),
        pointer(table),
        integer(looked_up),
        pointer(counts),
        threads(looked_up * len(queries)),
    )
    if symmetric:
        counts[looked_up] = len(keys)
        counts[looked_up + 1 :] = counts[:looked_up].flip(0)
    starts = tuple(accumulate(counts.tolist(), initial=0))
    found = torch.empty(2, starts[-1], dtype=torch.int32)
    places = torch.tensor(starts, dtype=torch.int64)
    kernels.zeroskip_take(
        ctypes.c_void_p(handle),
        pointer(found[0]),
        pointer(found[1]),
        pointer(places),
        integer(len(steps)),
        int(symmetric),
        int(order is None),
        integer(len(keys)),
        threads(starts[-1] // 8),
    )
    return found[0], found[1], starts
