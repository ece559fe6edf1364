"""Points to voxel coordinates."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

_INT32 = np.iinfo(np.int32)


def sparse_quantize(
    coords: ArrayLike,
    voxel_size: float | Sequence[float] = 1,
    *,
    return_index: bool = False,
    return_inverse: bool = False,
) -> Any:
    """The different voxels of points.

    Args:
        coords: (points, axes), array or tensor on the CPU; not changed.
        voxel_size: the edge of a voxel, one number or one for each axis.
        return_index: also return (voxels,) the first point of each voxel.
        return_inverse: also return (points,) the voxel of each point.

    Returns voxels (voxels, axes) int32 in lexicographic order, the first axis slowest, as torchsparse does; with the
    other arrays a tuple. Raises `ValueError` for points that are not finite or voxels that do not fit into int32.
    """
    points = np.asarray(coords)
    if points.ndim != 2:
        raise ValueError(f"coords must be (points, axes), not {points.shape}")
    edges = np.asarray(voxel_size, dtype=np.float64)
    if edges.ndim == 0:
        edges = np.broadcast_to(edges, points.shape[1:])
    if edges.shape != (points.shape[1],):
        raise ValueError(f"voxel_size must be one number, or one for each of {points.shape[1]} axes, not {voxel_size}")
    if not (edges > 0).all() or not np.isfinite(edges).all():
        raise ValueError(f"voxel_size must be larger than 0, not {voxel_size}")
    places = np.floor(points / edges)
    if not np.isfinite(places).all():
        raise ValueError("coords must be finite: some are infinite or NaN")
    if places.size and not (places.min() >= _INT32.min and places.max() <= _INT32.max):
        raise ValueError("coords must give voxels that fit into int32; use larger voxels")
    voxels: NDArray[np.int32] = places.astype(np.int32)
    different, index, inverse = np.unique(voxels, axis=0, return_index=True, return_inverse=True)
    result: list[NDArray[Any]] = [different]
    if return_index:
        result.append(index)
    if return_inverse:
        result.append(inverse.reshape(-1))
    return result[0] if len(result) == 1 else tuple(result)
