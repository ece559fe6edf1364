"""Kernel maps: which input each output meets through which element of the kernel.

Coordinates count in steps of their own level: a strided layer divides them, as torchsparse 2.1 does.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from math import prod
from typing import Any

import torch
from torch import Tensor

from zeroskip.model.sparseconv.kernel import centred_first, kernel_elements, minkowski_first
from zeroskip.model.sparseconv.keys import (
    CoordinateIndex,
    KeyLayout,
    coords_of_keys,
    index_of,
    require_int32,
    same_coords,
    sorted_coords,
    unique_coords,
)
from zeroskip.model.sparseconv.native import search
from zeroskip.model.sparseconv.native.library import library

CONVENTIONS = ("spconv", "minkowski")


@dataclass(frozen=True, kw_only=True)
class KernelGeometry:
    """Size, stride and dilation of a kernel, and the offset of its first element (see `kernel`)."""

    size: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    first: tuple[int, ...]

    @property
    def volume(self) -> int:
        """The number of elements."""
        return prod(self.size)

    def reach(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The least and the largest offset along each axis."""
        last = [
            first + (size - 1) * step for first, size, step in zip(self.first, self.size, self.dilation, strict=True)
        ]
        return self.first, tuple(last)

    def offsets(self) -> list[tuple[int, ...]]:
        """The offset of each element, in the order of the weights."""
        return [
            tuple(first + entry * step for first, entry, step in zip(self.first, element, self.dilation, strict=True))
            for element in kernel_elements(self.size)
        ]

    @property
    def mirrored(self) -> bool:
        """True where the offset of element k is that of element volume - 1 - k, negated."""
        return all(low == -high for low, high in zip(*self.reach(), strict=True))


@dataclass(frozen=True, kw_only=True, eq=False)
class KernelMap:
    """The triples (element, input, output) of one layer, by element and then by output.

    `inputs` and `outputs` are (pairs,) int32 row numbers; those of element k stand from `starts[k]` to `starts[k + 1]`.
    `in_index` and `out_index` are those of the coordinates that the map was made for.
    `symmetric`: the map equals its transposed with the elements reversed, as every submanifold map of odd size.
    """

    geometry: KernelGeometry
    inputs: Tensor
    outputs: Tensor
    starts: tuple[int, ...]
    in_coords: Tensor
    out_coords: Tensor
    in_index: CoordinateIndex
    out_index: CoordinateIndex
    in_range: tuple[int, ...] | None = None
    out_range: tuple[int, ...] | None = None
    symmetric: bool = False
    padding: tuple[int, ...] | None = None
    convention: str | None = None
    derived: dict[str, Any] = field(default_factory=dict)
    """What executions derive from the map and keep."""
    origin: weakref.ref[KernelMap] | None = None
    """The map that this one is the transposed of."""

    def __getstate__(self) -> dict[str, Any]:
        """For copies, and for other processes: without what is derived and found again."""
        return {**self.__dict__, "derived": {}, "origin": None}

    @property
    def volume(self) -> int:
        """The number of elements of the kernel."""
        return len(self.starts) - 1

    @property
    def in_count(self) -> int:
        """The number of input voxels."""
        return len(self.in_coords)

    @property
    def out_count(self) -> int:
        """The number of output voxels."""
        return len(self.out_coords)

    def starts_at(self, coords: Tensor) -> bool:
        """True where the map is for inputs at these coordinates, and its own are unchanged."""
        return same_coords(self.in_coords, coords) and self._is_current()

    def ends_at(self, coords: Tensor) -> bool:
        """True where the map is for outputs at these coordinates, and its own are unchanged."""
        return same_coords(self.out_coords, coords) and self._is_current()

    def _is_current(self) -> bool:
        return self.in_index.holds_for(self.in_coords) and (
            self.out_coords is self.in_coords or self.out_index.holds_for(self.out_coords)
        )

    @property
    def sizes(self) -> list[int]:
        """The number of pairs of each element."""
        return [end - start for start, end in pairwise(self.starts)]

    @property
    def identity(self) -> int | None:
        """The element that maps every voxel onto itself, where there is one."""
        return self.volume // 2 if self.symmetric else None

    def pairs(self, element: int) -> tuple[Tensor, Tensor]:
        """Inputs and outputs that meet through an element."""
        part = slice(self.starts[element], self.starts[element + 1])
        return self.inputs[part], self.outputs[part]

    @property
    def transposed(self) -> KernelMap:
        """The map with inputs and outputs exchanged, elements as they are: by element, then by the new output."""
        origin = None if self.origin is None else self.origin()
        if origin is not None:
            return origin
        if "transposed" not in self.derived:
            self.derived["transposed"] = self._turned()
        return self.derived["transposed"]

    def _turned(self) -> KernelMap:
        if self.symmetric:
            order = range(self.volume - 1, -1, -1)
            inputs = torch.cat([self.pairs(element)[0] for element in order])
            outputs = torch.cat([self.pairs(element)[1] for element in order])
            sizes = self.sizes[::-1]
        else:
            inputs, outputs = _by_output(self.outputs, self.inputs, self.starts, self.in_count)
            sizes = self.sizes
        return KernelMap(
            geometry=self.geometry,
            inputs=inputs,
            outputs=outputs,
            starts=tuple(accumulate(sizes, initial=0)),
            in_coords=self.out_coords,
            out_coords=self.in_coords,
            in_index=self.out_index,
            out_index=self.in_index,
            in_range=self.out_range,
            out_range=self.in_range,
            symmetric=self.symmetric,
            padding=self.padding,
            convention=self.convention,
            origin=weakref.ref(self),
        )


def _by_output(inputs: Tensor, outputs: Tensor, starts: Sequence[int], out_count: int) -> tuple[Tensor, Tensor]:
    """Sorts the pairs of each element by output."""
    element = torch.repeat_interleave(
        torch.arange(len(starts) - 1, device=inputs.device),
        torch.tensor([end - start for start, end in pairwise(starts)], device=inputs.device),
    )
    order = torch.argsort(element * out_count + outputs)
    return inputs[order], outputs[order]


def build_map(
    in_coords: Tensor,
    out_coords: Tensor,
    geometry: KernelGeometry,
    in_range: tuple[int, ...] | None = None,
    out_range: tuple[int, ...] | None = None,
    padding: tuple[int, ...] | None = None,
    convention: str | None = None,
) -> KernelMap:
    """Finds the pairs: for each output and element, the input at output * stride + offset, where there is one."""
    symmetric = in_coords is out_coords and geometry.mirrored and set(geometry.stride) == {1}
    kernels = library(in_coords, out_coords)
    if kernels is None:
        inputs, outputs, starts = _search(in_coords, out_coords, geometry, symmetric)
    else:
        inputs, outputs, starts = _search_compiled(kernels, in_coords, out_coords, geometry, symmetric)
    return KernelMap(
        geometry=geometry,
        inputs=inputs,
        outputs=outputs,
        starts=starts,
        in_coords=in_coords,
        out_coords=out_coords,
        in_index=index_of(in_coords),
        out_index=index_of(out_coords),
        in_range=in_range,
        out_range=out_range,
        symmetric=symmetric,
        padding=padding,
        convention=convention,
    )


def _search_compiled(
    kernels: ctypes.CDLL, in_coords: Tensor, out_coords: Tensor, geometry: KernelGeometry, symmetric: bool
) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """What `_search` returns, by merging sorted keys."""
    layout = search_layout(in_coords, out_coords, geometry)
    order, out_order = index_of(in_coords).order, index_of(out_coords).order
    keys, _ = search.pack(kernels, in_coords, layout.least, layout.shifts, order)
    queries = keys
    if in_coords is not out_coords or set(geometry.stride) != {1}:
        queries, _ = search.pack(kernels, out_coords, layout.least, layout.shifts, out_order, (1, *geometry.stride))
    steps = [layout.step((0, *offset)) for offset in geometry.offsets()]
    return search.pairs(kernels, keys, order, queries, out_order, steps, symmetric)


def _search(
    in_coords: Tensor, out_coords: Tensor, geometry: KernelGeometry, symmetric: bool
) -> tuple[Tensor, Tensor, tuple[int, ...]]:
    """(inputs, outputs, starts), by element and then by output. With symmetry only the first half is looked up."""
    layout = search_layout(in_coords, out_coords, geometry)
    keys = layout.pack(sorted_coords(in_coords))
    steps = torch.tensor((1, *geometry.stride), device=keys.device)
    queries = layout.pack(out_coords.to(torch.int64) * steps)
    order = index_of(in_coords).order
    offsets = geometry.offsets()
    looked_up = offsets[: len(offsets) // 2] if symmetric else offsets
    found = []
    for offset in looked_up:
        wanted = queries + layout.step((0, *offset))
        place = torch.searchsorted(keys, wanted).clamp_(max=max(len(keys) - 1, 0))
        outputs = torch.nonzero(keys[place] == wanted).flatten() if len(keys) else place[:0]
        place = place[outputs]
        found.append((place if order is None else order[place], outputs))
    if symmetric:
        every = torch.arange(len(keys), device=keys.device)
        mirrored = [
            (outputs, inputs) if order is None else _sorted_pairs(outputs, inputs)
            for inputs, outputs in reversed(found)
        ]
        found = [*found, (every, every), *mirrored]
    inputs, outputs = (torch.cat(columns).to(torch.int32) for columns in zip(*found, strict=True))
    return inputs, outputs, tuple(accumulate((len(one) for one, _ in found), initial=0))


def _sorted_pairs(inputs: Tensor, outputs: Tensor) -> tuple[Tensor, Tensor]:
    outputs, order = torch.sort(outputs)
    return inputs[order], outputs


def search_layout(in_coords: Tensor, out_coords: Tensor, geometry: KernelGeometry) -> KeyLayout:
    """A layout of keys that holds the inputs, the outputs times the stride, and all places where an input is looked
    for: adding an element's offset to a key is exact there."""
    index, out_index = index_of(in_coords), index_of(out_coords)
    low, high = geometry.reach()
    stride = (1, *geometry.stride)
    least = [
        min(own, other * step + offset, other * step)
        for own, other, step, offset in zip(index.least, out_index.least, stride, (0, *low), strict=True)
    ]
    largest = [
        max(own, other * step + offset, other * step)
        for own, other, step, offset in zip(index.largest, out_index.largest, stride, (0, *high), strict=True)
    ]
    return KeyLayout.spanning(least, largest)


def submanifold_map(
    coords: Tensor,
    size: tuple[int, ...],
    dilation: tuple[int, ...],
    spatial_range: tuple[int, ...] | None = None,
) -> KernelMap:
    """The map of a layer whose outputs are at its inputs' voxels."""
    first = tuple(centred_first(length) * step for length, step in zip(size, dilation, strict=True))
    geometry = KernelGeometry(size=size, stride=(1,) * len(size), dilation=dilation, first=first)
    return build_map(coords, coords, geometry, spatial_range, spatial_range)


def strided_map(
    coords: Tensor,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: tuple[int, ...],
    convention: str,
    spatial_range: tuple[int, ...] | None = None,
) -> KernelMap:
    """The map of a layer with outputs at voxels of its own.

    - "spconv": outputs wherever a dense convolution over the box would see an input. The box is the spatial range, or
      reaches from the least coordinates (0 where none is negative) to the largest ones. Where there is no spatial
      range, and kernels neither overlap nor leave gaps (size equals stride, no padding), the last kernel may reach over
      the box: no voxel is lost. torchsparse has this rule by default, but drops the border there, too; with its
      `kmap_mode` "hashmap" it has the outputs of "minkowski" wherever each stride is 1 or the size along its axis.
    - "minkowski": outputs at floor(coordinates / stride); odd kernels reach from there to both sides.
    """
    if convention == "minkowski":
        first = tuple(minkowski_first(length) * step for length, step in zip(size, dilation, strict=True))
        if any(entry not in (0, -low) for entry, low in zip(padding, first, strict=True)):
            raise ValueError(
                f"padding must be 0 or {tuple(-entry for entry in first)} with convention minkowski, not {padding}"
            )
        geometry = KernelGeometry(size=size, stride=stride, dilation=dilation, first=first)
        out_coords, out_range = _floored(coords, stride), _ceil_range(spatial_range, stride)
    else:
        geometry = KernelGeometry(size=size, stride=stride, dilation=dilation, first=tuple(-entry for entry in padding))
        tiles = size == stride and not any(padding) and set(dilation) == {1}
        if tiles and spatial_range is None:
            out_coords, out_range = _floored(coords, stride), None
        else:
            out_coords, out_range = _dense_outputs(coords, geometry, spatial_range)
    return build_map(coords, out_coords, geometry, spatial_range, out_range, padding, convention)


def generative_map(
    coords: Tensor,
    size: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...],
    padding: tuple[int, ...],
    convention: str | None,
    spatial_range: tuple[int, ...] | None = None,
    out_range: tuple[int, ...] | None = None,
) -> KernelMap:
    """The map of a transposed layer that makes its outputs: at input * stride + offset for each element.

    Offsets by convention: None as torchsparse (centred), "minkowski" (centred; even kernels from 0), "spconv" (from
    -padding, as a dense transposed convolution). Outputs lie in `out_range`; where it is None, in the range that
    follows from that of the inputs; where there is none either, those of "spconv" in the box of a dense transposed
    convolution over the box of the inputs, the others anywhere.
    """
    if convention == "spconv":
        first = tuple(-entry for entry in padding)
    else:
        rule = centred_first if convention is None else minkowski_first
        first = tuple(rule(length) * step for length, step in zip(size, dilation, strict=True))
    geometry = KernelGeometry(size=size, stride=stride, dilation=dilation, first=first)
    if out_range is None and spatial_range is not None:
        out_range = _generated_range(spatial_range, geometry, convention)
    steps = torch.tensor((1, *stride), device=coords.device)
    places = coords.to(torch.int64) * steps
    moved = [places + torch.tensor((0, *offset), device=places.device) for offset in geometry.offsets()]
    candidates = torch.cat(moved)
    low, high = _generated_box(coords, geometry, convention, out_range)
    if low is not None:
        candidates = candidates[(candidates[:, 1:] >= torch.tensor(low, device=places.device)).all(dim=1)]
    if high is not None:
        candidates = candidates[(candidates[:, 1:] <= torch.tensor(high, device=places.device)).all(dim=1)]
    made = unique_coords(candidates)
    return _owning_origin(build_map(made, coords, geometry, out_range, spatial_range, padding, convention))


def _owning_origin(strided: KernelMap) -> KernelMap:
    """The transposed of a map, which keeps that map alive: not the other way round, so that there is no circle."""
    turned = strided.transposed
    strided.derived.clear()
    turned.derived["transposed"] = strided
    return turned


def _generated_range(
    spatial_range: tuple[int, ...], geometry: KernelGeometry, convention: str | None
) -> tuple[int, ...]:
    """The extents of a dense transposed convolution's result; those of the others are the stride times as large."""
    extents = [extent * step for extent, step in zip(spatial_range[1:], geometry.stride, strict=True)]
    if convention == "spconv":
        low, high = geometry.reach()
        extents = [
            max(extent - step + first + last + 1, 0)
            for extent, step, first, last in zip(extents, geometry.stride, low, high, strict=True)
        ]
    return (spatial_range[0], *extents)


def _generated_box(
    coords: Tensor, geometry: KernelGeometry, convention: str | None, out_range: tuple[int, ...] | None
) -> tuple[list[int] | None, list[int] | None]:
    """Least and largest coordinates of outputs, where there are limits."""
    if out_range is not None:
        return [0] * len(geometry.size), [extent - 1 for extent in out_range[1:]]
    if convention != "spconv":
        return None, None
    index = index_of(coords)
    least = [min(low, 0) * step for low, step in zip(index.least[1:], geometry.stride, strict=True)]
    first, last = geometry.reach()
    largest = [
        high * step + low_reach + high_reach
        for high, step, low_reach, high_reach in zip(index.largest[1:], geometry.stride, first, last, strict=True)
    ]
    return least, largest


def _floored(coords: Tensor, stride: tuple[int, ...]) -> Tensor:
    steps = torch.tensor((1, *stride), dtype=torch.int32, device=coords.device)
    return unique_coords(torch.div(coords, steps, rounding_mode="floor"))


def _ceil_range(spatial_range: tuple[int, ...] | None, stride: tuple[int, ...]) -> tuple[int, ...] | None:
    if spatial_range is None:
        return None
    return tuple(-(-extent // step) for extent, step in zip(spatial_range, (1, *stride), strict=True))


def _dense_outputs(
    coords: Tensor, geometry: KernelGeometry, spatial_range: tuple[int, ...] | None
) -> tuple[Tensor, tuple[int, ...] | None]:
    """Coordinates of the outputs of a dense convolution that see an input, and its spatial range."""
    index = index_of(coords)
    low = [min(entry, 0) for entry in index.least[1:]] if spatial_range is None else [0] * len(geometry.size)
    high = index.largest[1:] if spatial_range is None else [extent - 1 for extent in spatial_range[1:]]
    first, last = geometry.reach()
    axes = list(zip(low, high, first, last, geometry.stride, strict=True))
    # Kernels lie in the box, widened by the padding, which is -first, on both sides.
    least = [-(-start // stride) for start, _, _, _, stride in axes]
    largest = [(end - before - after) // stride for _, end, before, after, stride in axes]
    out_range = None if spatial_range is None else (spatial_range[0], *(max(end + 1, 0) for end in largest))
    # And they reach an input.
    least = [
        max(limit, -(-(entry - after) // stride))
        for limit, entry, (_, _, _, after, stride) in zip(least, index.least[1:], axes, strict=True)
    ]
    largest = [
        min(limit, (entry - before) // stride)
        for limit, entry, (_, _, before, _, stride) in zip(largest, index.largest[1:], axes, strict=True)
    ]
    if len(coords) == 0 or any(start > end for start, end in zip(least, largest, strict=True)):
        return unique_coords(coords[:0]), out_range
    kernels = library(coords)
    if kernels is None:
        return _reached(coords, geometry, least, largest), out_range
    layout = KeyLayout.spanning((index.least[0], *least), (index.largest[0], *largest))
    require_int32(least, largest)
    keys = search.reached(
        kernels,
        coords,
        geometry.size,
        geometry.stride,
        geometry.first,
        geometry.dilation,
        layout.least,
        (index.largest[0], *largest),
        layout.shifts,
    )
    return coords_of_keys(layout, keys), out_range


def _reached(coords: Tensor, geometry: KernelGeometry, least: list[int], largest: list[int]) -> Tensor:
    """The different outputs from `least` to `largest` that see an input, axis by axis."""
    for axis, (size, stride, step, first) in enumerate(
        zip(geometry.size, geometry.stride, geometry.dilation, geometry.first, strict=True), start=1
    ):
        parts = []
        for element in range(size):
            place = coords[:, axis].to(torch.int64) - (first + element * step)
            hit = place % stride == 0
            place = torch.div(place, stride, rounding_mode="floor")
            hit &= (place >= least[axis - 1]) & (place <= largest[axis - 1])
            kept = coords[hit].to(torch.int64)
            kept[:, axis] = place[hit]
            parts.append(kept)
        coords = unique_coords(torch.cat(parts))
    return coords
