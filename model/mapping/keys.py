"""Batch numbers and coordinates packed into keys whose order is that of the rows (batch, x, y, z).

     key_bits-1                                        0
    +-----------+-----------+-----------+-----------+
    |   batch   |   x + H   |   y + H   |   z + H   |      H = 2 ** (coordinate_bits - 1)
    +-----------+-----------+-----------+-----------+

Each coordinate is biased by H, so that it is a whole number from 0. Because points keep `reach` away from the ends of
the range, a coordinate that an offset moves stays in its field: moving a point is adding one constant to its key.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mapping.geometry import MapperGeometry


def pack(coordinates: NDArray[Any], geometry: MapperGeometry) -> NDArray[np.int64]:
    """The keys (n,) of points (integers, n x (1 + dims), the batch number first).

    Raises TypeError unless they are integers, and ValueError for another shape or a number outside of the range: batch
    0 to `batches` - 1, coordinates `lowest` to `highest`.
    """
    coordinates = np.asarray(coordinates)
    if coordinates.dtype.kind not in "iu":
        raise TypeError(f"coordinates must be integers, not {coordinates.dtype}")
    if coordinates.ndim != 2 or coordinates.shape[1] != 1 + geometry.dims:
        raise ValueError(f"coordinates must be points x {1 + geometry.dims} (batch first), not {coordinates.shape}")
    batch, places = coordinates[:, 0], coordinates[:, 1:]
    _check("batch", batch, 0, geometry.batches - 1, "batch_bits")
    _check("coordinates", places, geometry.lowest, geometry.highest, "coordinate_bits")
    keys = batch.astype(np.int64)
    for axis in range(geometry.dims):
        keys = (keys << geometry.coordinate_bits) + places[:, axis].astype(np.int64) + _bias(geometry)
    return keys


def unpack(keys: NDArray[np.int64], geometry: MapperGeometry) -> NDArray[np.int32]:
    """The points (n x (1 + dims)) of keys (n,); the inverse of `pack`."""
    mask = (1 << geometry.coordinate_bits) - 1
    columns = [
        (keys >> (geometry.coordinate_bits * axis) & mask) - _bias(geometry) for axis in reversed(range(geometry.dims))
    ]
    batch = keys >> (geometry.coordinate_bits * geometry.dims)
    return np.stack([batch, *columns], axis=1).astype(np.int32)


def shifts(offsets: NDArray[Any] | Sequence[Sequence[int]], geometry: MapperGeometry) -> NDArray[np.int64]:
    """What moves a key by each of the offsets (integers, count x dims): constants to add, which may be negative.

    Raises ValueError for another shape or a component beyond `reach`.
    """
    offsets = np.asarray(offsets)
    if offsets.dtype.kind not in "iu":
        raise TypeError(f"offsets must be integers, not {offsets.dtype}")
    if offsets.ndim != 2 or offsets.shape[1] != geometry.dims:
        raise ValueError(f"offsets must be count x {geometry.dims}, not {offsets.shape}")
    _check("offsets", offsets, -geometry.reach, geometry.reach, "reach")
    weights = [1 << (geometry.coordinate_bits * axis) for axis in reversed(range(geometry.dims))]
    return offsets.astype(np.int64) @ np.array(weights, np.int64)


def kept_bits(strides: Sequence[int], geometry: MapperGeometry) -> int:
    """The bits of a key that a strided layer keeps: without the low bits of each coordinate, a point goes to
    floor(c / stride) * stride.

    Raises ValueError unless there is a stride for each coordinate, each a power of two up to half of the range.
    """
    if len(strides) != geometry.dims:
        raise ValueError(f"strides must have {geometry.dims} numbers, not {len(strides)}")
    kept = geometry.batches - 1
    for stride in strides:
        if stride < 1 or stride & (stride - 1) or stride >= 1 << (geometry.coordinate_bits - 1):
            raise ValueError(
                f"strides must be powers of two below {1 << (geometry.coordinate_bits - 1)}, not {stride}: the unit "
                "clears low bits"
            )
        kept = (kept << geometry.coordinate_bits) | ((1 << geometry.coordinate_bits) - stride)
    return kept


def _bias(geometry: MapperGeometry) -> int:
    return 1 << (geometry.coordinate_bits - 1)


def _check(name: str, values: NDArray[Any], low: int, high: int, field: str) -> None:
    wrong = values[(values < low) | (values > high)]
    if wrong.size:
        raise ValueError(f"{name} must be from {low} to {high}, not {wrong[0]}: a larger {field} holds more")
