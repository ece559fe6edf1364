"""Sparse tensors: features at the voxels that are there."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeroskip.model.sparseconv.caches import get_global_tensor_cache, new_cache
from zeroskip.model.sparseconv.keys import CoordinateIndex, bounds, index_of, require_int32, same_coords
from zeroskip.model.sparseconv.tuples import Size, make_ntuple

_COORDINATE_TYPES = (torch.int32, torch.int64, torch.int16, torch.int8, torch.uint8)
_FEATURE_TYPES = (torch.float32, torch.float16, torch.bfloat16, torch.float64, torch.int8, torch.int32)
_LABEL_TYPES = (torch.int64, torch.int32, torch.int16, torch.int8, torch.uint8, torch.bool)


class SparseTensor:
    """Features at voxels, as torchsparse 2.1 has them.

    Args:
        feats: (N, channels): float32, float16, bfloat16, float64, int8, or int32 (the sums of int8 layers). Labels of
            voxels are kept, too, for collation: (N,) integers or bools, or (N, channels) int64. No layer takes them.
        coords: (N, 1 + axes), 1 to 4 axes. **The batch index is the first column**, not negative; coordinates may be
            negative. int32; other integers are converted. No two rows are equal, except those of labels. Before
            collation there is no batch index yet: three columns may hold x, y and z.
        stride: the tensor stride: how many voxels of the first level one step of these coordinates spans. The
            coordinates themselves count in steps of this level.
        spatial_range: (batches, *extents): coordinates lie from 0 to below it. A dense tensor of this size is what
            strided layers see; None: the box around the voxels.

    Rows may be in any order, batches may be missing, and there may be none at all. Tensors that are not contiguous are
    copied. NumPy arrays are converted.

    Raises `TypeError` for wrong types, `ValueError` for wrong shapes or values, duplicates among them.
    """

    def __init__(
        self,
        feats: Tensor | NDArray[Any],
        coords: Tensor | NDArray[Any],
        stride: Size = 1,
        spatial_range: tuple[int, ...] | None = None,
    ) -> None:
        feats, coords = as_tensor(feats), as_tensor(coords)
        self._coords = _columns_of(coords) if _are_labels(feats) else _checked_coords(coords)
        self._feats = _checked_feats(feats, self._coords)
        self._stride = make_ntuple(stride, self.ndim, "stride", least=1)
        self._spatial_range = None if spatial_range is None else _checked_range(spatial_range, self._coords)
        self._levels: dict[tuple[int, ...], tuple[int, ...] | None] = {}
        self._caches = new_cache()

    @property
    def ndim(self) -> int:
        """The number of axes, without the batch index."""
        return self._coords.shape[1] - 1

    @property
    def feats(self) -> Tensor:
        """Features (N, channels). May be set to others; the next layer checks them."""
        return self._feats

    @feats.setter
    def feats(self, feats: Tensor) -> None:
        self._feats = _rows_of(as_tensor(feats))

    @property
    def coords(self) -> Tensor:
        """Coordinates (N, 1 + axes) int32, the batch index first. May be set to others; the next layer checks them."""
        return self._coords

    @coords.setter
    def coords(self, coords: Tensor) -> None:
        self._coords = _columns_of(as_tensor(coords))

    @property
    def stride(self) -> tuple[int, ...]:
        """The tensor stride, one number an axis."""
        return self._stride

    @stride.setter
    def stride(self, stride: Size) -> None:
        self._stride = make_ntuple(stride, self.ndim, "stride", least=1)

    @property
    def spatial_range(self) -> tuple[int, ...] | None:
        """(batches, *extents), or None."""
        return self._spatial_range

    @spatial_range.setter
    def spatial_range(self, spatial_range: tuple[int, ...] | None) -> None:
        self._spatial_range = None if spatial_range is None else _checked_range(spatial_range, self._coords)

    F = feats
    C = coords
    s = stride

    def require_rows(self) -> None:
        """Raises `ValueError` unless there are as many features as coordinates: both may have been set to others."""
        _checked_feats(self._feats, self._coords)

    def require_features(self) -> None:
        """Raises `TypeError` or `ValueError` unless this is what layers take: features (not labels), as many rows of
        coordinates, no two of them equal, a batch index that is not negative, all within the spatial range. Layers call
        it."""
        if _are_labels(self._feats):
            raise TypeError(
                f"layers take features (N, channels) of a float type, int8 or int32, not labels: {self._feats.dtype} "
                f"of shape {tuple(self._feats.shape)}"
            )
        _checked_feats(self._feats, self._coords)
        self._coords = _columns_of(self._coords)  # `.data` may have been set to a tensor that is not contiguous
        index = _require_batches(self._coords)
        if self._spatial_range is not None:
            _require_within(self._spatial_range, index)

    def with_feats(self, feats: Tensor) -> SparseTensor:
        """The same voxels with other features (N, any channels): coordinates, stride and caches are shared."""
        return self._sharing(_checked_feats(feats, self._coords), self._coords, self._stride, self._spatial_range)

    def _sharing(
        self, feats: Tensor, coords: Tensor, stride: tuple[int, ...], spatial_range: tuple[int, ...] | None
    ) -> SparseTensor:
        """A tensor of the same network, from parts that are known to be right."""
        made = object.__new__(SparseTensor)
        made._coords, made._feats = coords, feats
        made._stride, made._spatial_range = stride, spatial_range
        made._levels = {**self._levels, self._stride: self._spatial_range}
        made._caches = self._caches
        return made

    def range_at(self, stride: tuple[int, ...]) -> tuple[int, ...] | None:
        """The spatial range at another level of the network: that of the last tensor with this stride that this one
        descends from, otherwise the one in a cache that this tensor does not share with other scenes; or None."""
        if stride in self._levels:
            return self._levels[stride]
        if self._caches is get_global_tensor_cache():
            return None
        known = self._caches.cmaps.get(stride)
        # Networks for torchsparse put the coordinates alone there, too.
        return known[1] if isinstance(known, tuple) else None

    def to(self, device: Any, non_blocking: bool = True) -> SparseTensor:
        """Moves features and coordinates to a device, in place as torchsparse does; returns the tensor.

        Maps stay with the device that they were made on and are made anew.
        """
        coords = self._coords.to(device, non_blocking=non_blocking)
        self._feats = self._feats.to(device, non_blocking=non_blocking)
        if coords is not self._coords:
            self._coords, self._caches = coords, new_cache()
        return self

    def cpu(self) -> SparseTensor:
        """Moves the tensor to the CPU, in place."""
        return self.to("cpu")

    def cuda(self) -> SparseTensor:
        """Moves the tensor to the GPU, in place."""
        return self.to("cuda")

    def half(self) -> SparseTensor:
        """Makes the features float16, in place."""
        self._feats = self._feats.half()
        return self

    def detach(self) -> SparseTensor:
        """Cuts the features off from the graph of their gradients, in place."""
        self._feats = self._feats.detach()
        return self

    def dense(self, spatial_range: tuple[int, ...] | None = None) -> Tensor:
        """The tensor with zeros where no voxel is: (batches, *extents, channels), differentiable."""
        self.require_features()
        if spatial_range is None and self._spatial_range is None:
            raise ValueError("dense() needs the size: call dense((batches, *extents)), or make the tensor with it")
        size = self._spatial_range if spatial_range is None else _checked_range(spatial_range, self._coords)
        assert size is not None
        places = torch.zeros(len(self._coords), dtype=torch.int64, device=self._coords.device)
        for column, extent in enumerate(size):
            places = places * extent + self._coords[:, column]
        volume = 1
        for extent in size:
            volume *= extent
        empty = torch.zeros(volume, self._feats.shape[1], dtype=self._feats.dtype, device=self._feats.device)
        return empty.index_copy(0, places, self._feats).view(*size, self._feats.shape[1])

    def __add__(self, other: SparseTensor) -> SparseTensor:
        """Sums features voxel by voxel. Raises `ValueError` unless stride and coordinates are equal."""
        require_same_voxels(self, other)
        if self._feats.shape[1:] != other.feats.shape[1:]:
            raise ValueError(
                f"tensors that are added must have as many channels, not {self._feats.shape[1]} and "
                f"{other.feats.shape[1]}"
            )
        return self.with_feats(self._feats + other.feats)

    def __len__(self) -> int:
        return len(self._coords)

    def __getstate__(self) -> dict[str, Any]:
        """For other processes, as those of a DataLoader: without the maps, which are found again."""
        return {**self.__dict__, "_caches": None}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update({**state, "_caches": new_cache()})

    def __deepcopy__(self, memo: dict[int, Any]) -> SparseTensor:
        """Features, coordinates and maps are copied: no change of one tensor or of its results reaches the other."""
        made = self._sharing(
            copy.deepcopy(self._feats, memo), copy.deepcopy(self._coords, memo), self._stride, self._spatial_range
        )
        if self._caches is not get_global_tensor_cache():
            made._caches = copy.deepcopy(self._caches, memo)
        memo[id(self)] = made
        return made

    def __repr__(self) -> str:
        return (
            f"SparseTensor({len(self)} voxels, {self._feats.shape[1]} channels, {self._feats.dtype}, {self.ndim} axes, "
            f"stride {self._stride}, spatial_range {self._spatial_range})"
        )


def require_same_voxels(first: SparseTensor, second: SparseTensor) -> None:
    """Raises `ValueError` unless both tensors have equal strides, equal coordinates in the same order, and as many
    features."""
    if not isinstance(second, SparseTensor):
        raise TypeError(f"the other operand must be a SparseTensor, not {type(second).__name__}")
    if first.stride != second.stride:
        raise ValueError(f"strides must be equal, not {first.stride} and {second.stride}")
    for tensor in (first, second):
        tensor.require_rows()
    if not same_coords(first.coords, second.coords):
        raise ValueError(
            f"coordinates must be equal and in the same order, but the tensors ({len(first)} and {len(second)} voxels) "
            "have different ones"
        )


def as_tensor(values: Tensor | NDArray[Any]) -> Tensor:
    """A NumPy array as a tensor, whichever way its rows run."""
    return torch.from_numpy(np.ascontiguousarray(values)) if isinstance(values, np.ndarray) else values


def _are_labels(feats: Tensor) -> bool:
    if not isinstance(feats, Tensor):
        return False
    return feats.dtype is torch.int64 or (feats.dim() == 1 and feats.dtype in _LABEL_TYPES)


def _columns_of(coords: Tensor) -> Tensor:
    """Contiguous int32 coordinates; raises for wrong types and shapes."""
    if not isinstance(coords, Tensor):
        raise TypeError(f"coords must be a torch tensor, not {type(coords).__name__}")
    if coords.dtype not in _COORDINATE_TYPES:
        raise TypeError(f"coords must be integers (int32), not {coords.dtype}; quantize points first")
    if coords.dim() != 2 or not 2 <= coords.shape[1] <= 5:
        raise ValueError(
            f"coords must be (N, 1 + axes) with 1 to 4 axes, the batch index first, not {tuple(coords.shape)}"
        )
    if coords.dtype is torch.int64:
        require_int32(*bounds(coords))
    return coords.detach().to(torch.int32).contiguous() if _must_convert(coords) else coords


def _checked_coords(coords: Tensor) -> Tensor:
    checked = _columns_of(coords)
    if checked.shape[1] == 3:
        index_of(checked)  # x, y and z before collation may be negative, but not equal
    else:
        _require_batches(checked)
    return checked


def _require_batches(coords: Tensor) -> CoordinateIndex:
    """The index; raises `ValueError` where two rows are equal, or a batch index is negative."""
    index = index_of(coords)
    if index.least[0] < 0:
        raise ValueError(
            f"batch indices (the first column of coords) must not be negative, not {index.least[0]}; if your batch "
            "index is the last column, as in torchsparse before 2.1, reorder the columns; if there is none yet, "
            "collate the tensors first"
        )
    return index


def _must_convert(coords: Tensor) -> bool:
    return coords.dtype is not torch.int32 or not coords.is_contiguous()


def _rows_of(feats: Tensor) -> Tensor:
    """Features or labels; raises for wrong types and shapes."""
    if not isinstance(feats, Tensor):
        raise TypeError(f"feats must be a torch tensor, not {type(feats).__name__}")
    if _are_labels(feats):
        return feats
    if feats.dtype not in _FEATURE_TYPES:
        names = ", ".join(str(dtype).removeprefix("torch.") for dtype in _FEATURE_TYPES)
        raise TypeError(f"feats must be one of {names}, not {feats.dtype}")
    if feats.dim() != 2:
        raise ValueError(f"feats must be (N, channels), not {tuple(feats.shape)}")
    return feats


def _checked_feats(feats: Tensor, coords: Tensor) -> Tensor:
    checked = _rows_of(feats)
    if len(checked) != len(coords):
        raise ValueError(f"feats and coords must have as many rows, not {len(checked)} and {len(coords)}")
    if checked.device != coords.device:
        raise ValueError(f"feats and coords must be on the same device, not {checked.device} and {coords.device}")
    return checked


def _checked_range(spatial_range: tuple[int, ...], coords: Tensor) -> tuple[int, ...]:
    size = make_ntuple(spatial_range, coords.shape[1], "spatial_range", least=0)
    _require_within(size, index_of(coords))
    return size


def _require_within(size: tuple[int, ...], index: CoordinateIndex) -> None:
    if len(index.coords) == 0:
        return
    for column, (low, high, extent) in enumerate(zip(index.least, index.largest, size, strict=True)):
        if low < 0 or high >= extent:
            name = "batch indices" if column == 0 else f"coordinates of axis {column}"
            raise ValueError(
                f"{name} must lie from 0 to {extent - 1} in spatial_range {size}, not from {low} to {high}"
            )
