"""Points and offsets of a layer from a file, and the mapping unit that holds them."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zeroskip.model.bits import power_of_two_at_least
from zeroskip.model.data.npz import read_arrays
from zeroskip.model.mapping.geometry import MAX_KEY_BITS, MapperGeometry


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerFile:
    """`inputs` and `outputs` (integers, points x (1 + dims)), `offsets` (integers, count x dims) and `strides` of a
    layer; there are outputs, or strides, or neither."""

    inputs: NDArray[Any]
    offsets: NDArray[Any]
    outputs: NDArray[Any] | None
    strides: tuple[int, ...] | None


def load_layer(path: Path) -> LayerFile:
    """Reads the arrays `inputs` and `offsets`, and `outputs` or `strides` if there are any, from an NPZ file. Raises
    ValueError for another file, which names it."""
    arrays = read_arrays(path)
    missing = {"inputs", "offsets"} - set(arrays)
    unknown = set(arrays) - {"inputs", "offsets", "outputs", "strides"}
    if missing or unknown:
        raise ValueError(
            f"{path}: the file must hold inputs and offsets, and may hold outputs or strides; "
            f"missing: {', '.join(sorted(missing)) or 'none'}, unknown: {', '.join(sorted(unknown)) or 'none'}"
        )
    strides = arrays.get("strides")
    if strides is not None and (strides.ndim != 1 or strides.dtype.kind not in "iu"):
        raise ValueError(f"{path}: strides must be one row of integers, not {strides.dtype} {strides.shape}")
    return LayerFile(
        inputs=arrays["inputs"],
        offsets=arrays["offsets"],
        outputs=arrays.get("outputs"),
        strides=None if strides is None else tuple(strides.tolist()),
    )


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Errors of the block name the file."""
    try:
        yield
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path}: {error}") from error


def fitted_geometry(layer: LayerFile, *, width: int) -> MapperGeometry:
    """A unit that merges `width` keys a cycle and holds the layer: the default sizes, or larger ones where the layer
    needs them.

    Raises ValueError for coordinates that fit no unit. Other wrong arrays are left to
    zeroskip.model.mapping.layer.plan_layer.
    """
    default = MapperGeometry(width=width)
    dims = layer.inputs.shape[-1] - 1 if layer.inputs.ndim == 2 else default.dims
    if not 1 <= dims <= 4:
        raise ValueError(f"inputs must have a batch number and 1 to 4 coordinates, not {dims} coordinates")
    points = [array for array in (layer.inputs, layer.outputs) if array is not None and array.ndim == 2]
    points = [array for array in points if array.dtype.kind in "iu"]
    rows = [len(array) for array in points]
    words = sum(-(-count // width) + 1 for count in [*rows, max(rows, default=0), max(rows, default=0)])
    reach = max(default.reach, _largest([layer.offsets]) if layer.offsets.dtype.kind in "iu" else 0)
    batch_bits = max(default.batch_bits, _largest([array[:, :1] for array in points]).bit_length())
    places = [array[:, 1:] for array in points if array[:, 1:].size]
    low = min((int(array.min()) for array in places), default=0)
    high = max((int(array.max()) for array in places), default=0)
    needed = 1 + (max(reach - low, high + reach + 1) - 1).bit_length()
    roomy = min(20, (MAX_KEY_BITS - batch_bits) // dims)
    coordinate_bits = default.coordinate_bits if needed <= default.coordinate_bits <= roomy else roomy
    geometry = MapperGeometry(
        width=width,
        dims=dims,
        coordinate_bits=coordinate_bits,
        batch_bits=min(16, batch_bits),
        reach=min(reach, 1 << (coordinate_bits - 2)),
        index_bits=max(default.index_bits, max(rows, default=0).bit_length()),
        words=max(default.words, power_of_two_at_least(words)),
        offsets=max(default.offsets, len(layer.offsets) if layer.offsets.ndim else 1),
    )
    if low < geometry.lowest or high > geometry.highest:
        raise ValueError(
            f"coordinates must be from {geometry.lowest} to {geometry.highest}, the widest range that fits a key here, "
            f"not from {low} to {high}: subtract the least coordinate of each axis (with strides, a multiple "
            "of them), or use larger voxels"
        )
    return geometry


def _largest(arrays: list[NDArray[Any]]) -> int:
    """The largest magnitude of all."""
    return max((abs(int(bound)) for a in arrays if a.size for bound in (a.min(), a.max())), default=0)
