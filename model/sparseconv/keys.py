"""Voxel coordinates as sortable 64-bit keys, exact: different coordinates have different keys.

A key holds the batch index and the coordinates side by side, the batch index in the highest bits:

      62                                    0
    +-------+-----------+---------+---------+
    | batch |     x     |    y    |    z    |     each less its least value, so that no field is negative
    +-------+-----------+---------+---------+

The order of keys is the lexicographic order of (batch, x, y, z). To add an offset to coordinates, add a constant to
their keys. Each field is as wide as the values there need. **The range that packs**: the widths of all fields together
are at most 63 bits, for example 65,536 batches of a box of 32,768 voxels along each of three axes, wherever it lies.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from zeroskip.model.sparseconv.native import search
from zeroskip.model.sparseconv.native.library import library

KEY_BITS = 63
_INT32 = torch.iinfo(torch.int32)


@dataclass(frozen=True, kw_only=True)
class KeyLayout:
    """Where each column of the coordinates lies in a key: the least value, and the width of the field."""

    least: tuple[int, ...]
    bits: tuple[int, ...]

    def __post_init__(self) -> None:
        if sum(self.bits) > KEY_BITS:
            raise ValueError(
                f"coordinates must span boxes that pack into {KEY_BITS} bits, not {sum(self.bits)} (bits of the batch "
                f"index and of each axis: {self.bits}); use larger voxels, or cut the scene into parts"
            )

    @classmethod
    def spanning(cls, least: Sequence[int], largest: Sequence[int]) -> KeyLayout:
        """The narrowest layout for values from `least` to `largest`, both included, column by column."""
        widths = tuple((high - low).bit_length() for low, high in zip(least, largest, strict=True))
        return cls(least=tuple(least), bits=widths)

    @property
    def shifts(self) -> tuple[int, ...]:
        """The position of each field's lowest bit."""
        return tuple(sum(self.bits[column + 1 :]) for column in range(len(self.bits)))

    def pack(self, coordinates: Tensor) -> Tensor:
        """Keys (N,) int64 of coordinates (N, columns) of any integer type within the span."""
        keys = torch.zeros(len(coordinates), dtype=torch.int64, device=coordinates.device)
        for column, (low, shift) in enumerate(zip(self.least, self.shifts, strict=True)):
            keys += (coordinates[:, column].to(torch.int64) - low) << shift
        return keys

    def unpack(self, keys: Tensor) -> Tensor:
        """Coordinates (N, columns) int32 of keys (N,)."""
        columns = [
            ((keys >> shift) & ((1 << width) - 1)) + low
            for low, width, shift in zip(self.least, self.bits, self.shifts, strict=True)
        ]
        return torch.stack(columns, dim=1).to(torch.int32)

    def step(self, offset: Sequence[int]) -> int:
        """What to add to a key to add `offset` to its coordinates. Exact while the sum stays within the span."""
        return sum(entry << shift for entry, shift in zip(offset, self.shifts, strict=True))


def bounds(coordinates: Tensor) -> tuple[list[int], list[int]]:
    """Least and largest value of each column; zeros where there are no rows."""
    if len(coordinates) == 0:
        zeros = [0] * coordinates.shape[1]
        return zeros, list(zeros)
    kernels = library(coordinates) if coordinates.dtype is torch.int32 and coordinates.is_contiguous() else None
    if kernels is not None:
        return search.bounds(kernels, coordinates)
    least, largest = torch.stack(torch.aminmax(coordinates, dim=0)).tolist()
    return least, largest


@dataclass(frozen=True, kw_only=True, eq=False)
class CoordinateIndex:
    """What every search in coordinates (N, 1 + axes) needs, found once.

    `coords` is a copy of them; `least` and `largest` are those of each column; `order` (N,) int64 lists the rows in the
    order of their keys, or is None where they already stand so.
    """

    coords: Tensor
    least: tuple[int, ...]
    largest: tuple[int, ...]
    order: Tensor | None

    def holds_for(self, coords: Tensor) -> bool:
        """True where the coordinates still are what they were.

        All are compared: torch's counter of changes misses those through `.data`, and through a NumPy array that
        shares the memory.
        """
        return same_coords(self.coords, coords)


def index_of(coords: Tensor) -> CoordinateIndex:
    """The index of coordinates (N, 1 + axes) int32. It is kept with the tensor and made again after any change.

    Raises `ValueError` for duplicates and for a span that does not pack.
    """
    known: CoordinateIndex | None = getattr(coords, "_coordinate_index", None)
    if known is None or not known.holds_for(coords):
        known = _make_index(coords)
        coords._coordinate_index = known  # type: ignore[attr-defined]
    return known


def sorted_coords(coords: Tensor) -> Tensor:
    """The coordinates in the order of their keys."""
    order = index_of(coords).order
    return coords if order is None else coords[order]


def same_coords(first: Tensor, second: Tensor) -> bool:
    """True where both hold equal coordinates in the same order."""
    return first is second or (first.device == second.device and torch.equal(first, second))


def _make_index(coords: Tensor) -> CoordinateIndex:
    least, largest = bounds(coords)
    layout = KeyLayout.spanning(least, largest)
    kernels = library(coords)
    if kernels is not None:
        keys, increasing = search.pack(kernels, coords, layout.least, layout.shifts)
    else:
        keys = layout.pack(coords)
        increasing = bool((keys[1:] > keys[:-1]).all())
    order = None
    if not increasing:
        if kernels is not None:
            order = search.sort(kernels, keys, sum(layout.bits))
        else:
            keys, order = torch.sort(keys, stable=True)
        repeated = torch.nonzero(keys[1:] == keys[:-1])
        if len(repeated):
            row = int(repeated[0])
            first, second = (int(order[entry]) for entry in (row, row + 1))
            raise ValueError(
                f"coordinates must differ from each other, but {len(repeated)} of {len(coords)} rows repeat another: "
                f"rows {first} and {second} are both {coords[first].tolist()} (batch first); merge them with "
                "sparse_quantize"
            )
    return CoordinateIndex(coords=_copy(coords), least=tuple(least), largest=tuple(largest), order=order)


def _copy(coords: Tensor) -> Tensor:
    return coords.detach().clone()


def unique_coords(coords: Tensor) -> Tensor:
    """The different rows of integer coordinates (N, 1 + axes), sorted, int32. Their index is kept with them.

    Raises `ValueError` where they do not fit into int32 or their span does not pack.
    """
    least, largest = bounds(coords)
    require_int32(least, largest)
    layout = KeyLayout.spanning(least, largest)
    return coords_of_keys(layout, layout.pack(coords))


def coords_of_keys(layout: KeyLayout, keys: Tensor) -> Tensor:
    """The different ones of the coordinates behind keys, sorted, int32. The keys may change their order.

    The index is kept with the coordinates.
    """
    kernels = library(keys)
    if kernels is None:
        result = layout.unpack(torch.unique(keys))
    else:
        different = search.unique(kernels, keys, sum(layout.bits))
        result = search.unpack(kernels, different, (layout.least, layout.shifts, layout.bits))
    least, largest = bounds(result)
    result._coordinate_index = CoordinateIndex(  # type: ignore[attr-defined]
        coords=_copy(result), least=tuple(least), largest=tuple(largest), order=None
    )
    return result


def require_int32(least: Sequence[int], largest: Sequence[int]) -> None:
    """Raises `ValueError` where coordinates between these values do not fit into int32."""
    if min(least) < _INT32.min or max(largest) > _INT32.max:
        raise ValueError(f"coordinates must fit into int32, not reach from {min(least)} to {max(largest)}")
