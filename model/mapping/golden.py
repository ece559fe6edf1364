"""Golden model of the mapping unit: kernel maps, and the sorting that comes before them, in exact integers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.keys import kept_bits, pack, shifts


@dataclass(frozen=True, kw_only=True, eq=False)
class KeyList:
    """Keys (int64, n) and the index of each (int64, n), by which triples name it."""

    keys: NDArray[np.int64]
    indices: NDArray[np.int64]

    def __post_init__(self) -> None:
        if self.keys.ndim != 1 or self.keys.shape != self.indices.shape:
            raise ValueError(
                f"keys and indices must be of one length, not of the shapes {self.keys.shape} and {self.indices.shape}"
            )

    def __len__(self) -> int:
        return len(self.keys)

    @property
    def increasing(self) -> bool:
        """Whether the keys are sorted and none occurs twice."""
        return bool((np.diff(self.keys) > 0).all())


def points(coordinates: NDArray[Any], geometry: MapperGeometry) -> KeyList:
    """The keys of points (n x (1 + dims), the batch number first) in their own order, numbered from 0. Raises as
    zeroskip.model.mapping.keys.pack does."""
    keys = pack(coordinates, geometry)
    return KeyList(keys=keys, indices=np.arange(len(keys)))


def sort_keys(listed: KeyList, *, kept: int = -1, unique: bool = False, renumber: bool = False) -> KeyList:
    """Clears the bits of all keys that are not in `kept`, and sorts them; equal keys stand in the order of their
    indices. `unique` keeps the first of equal keys. `renumber` gives the sorted keys the indices 0, 1, 2, ..."""
    keys = listed.keys & kept
    order = np.lexsort((listed.indices, keys))
    keys, indices = keys[order], listed.indices[order]
    if unique and len(keys):
        first = np.concatenate([[True], keys[1:] != keys[:-1]])
        keys, indices = keys[first], indices[first]
    return KeyList(keys=keys, indices=np.arange(len(keys)) if renumber else indices)


def strided(listed: KeyList, strides: Sequence[int], geometry: MapperGeometry) -> KeyList:
    """The output points of a layer with these strides (powers of two): floor(c / stride) * stride of every input point,
    each once, sorted and numbered from 0 (PointAcc section 4; the convention of MinkowskiEngine, in which coordinates
    stay multiples of the stride)."""
    return sort_keys(listed, kept=kept_bits(strides, geometry), unique=True, renumber=True)


def kernel_map(
    outputs: KeyList, inputs: KeyList, offsets: NDArray[Any] | Sequence[Sequence[int]], geometry: MapperGeometry
) -> NDArray[np.int64]:
    """The map of a kernel: triples (offset number, input index, output index), int64, triples x 3.

    There is a triple for each output at c, and each offset d of `offsets` (count x dims), where an input stands at
    c + d. They are in the order of the offsets, then of the outputs' keys. For a dilated layer or inputs of a larger
    stride, multiply the offsets.

    Raises ValueError where a list is not sorted or holds a key twice, and as zeroskip.model.mapping.keys.shifts does.
    """
    check_map(outputs, inputs, geometry)
    found = []
    for number, shift in enumerate(shifts(offsets, geometry).tolist()):
        wanted = outputs.keys + shift
        at = np.searchsorted(inputs.keys, wanted)
        hit = np.zeros(len(wanted), np.bool_)
        inside = at < len(inputs)
        hit[inside] = inputs.keys[at[inside]] == wanted[inside]
        triples = np.full((np.count_nonzero(hit), 3), number, np.int64)
        triples[:, 1], triples[:, 2] = inputs.indices[at[hit]], outputs.indices[hit]
        found.append(triples)
    return np.concatenate(found) if found else np.zeros((0, 3), np.int64)


def check_map(outputs: KeyList, inputs: KeyList, geometry: MapperGeometry) -> None:
    """Raises ValueError where a list of a map is not sorted, holds a key twice, or has an index beyond `index_bits`."""
    for name, listed in (("outputs", outputs), ("inputs", inputs)):
        if not listed.increasing:
            raise ValueError(f"{name} must be sorted and hold no key twice: use sort_keys(..., unique=True)")
        check_indices(name, listed, geometry)


def check_indices(name: str, listed: KeyList, geometry: MapperGeometry) -> None:
    """Raises ValueError where an index does not fit `index_bits`."""
    wrong = listed.indices[(listed.indices < 0) | (listed.indices >> geometry.index_bits > 0)]
    if wrong.size:
        raise ValueError(
            f"indices of {name} must be from 0 to {(1 << geometry.index_bits) - 1}, not {wrong[0]}: a larger "
            "index_bits holds more"
        )


def mirrored(half: NDArray[np.int64], offsets: int) -> NDArray[np.int64]:
    """The whole map of a layer whose outputs are its inputs, from the triples of its first offsets.

    The `offsets` (their number) must be such that offset `offsets - 1 - k` is minus offset k: then the map of one is
    that of the other with inputs and outputs exchanged, and the unit need not look for both. `half` holds the triples
    of the offsets from 0 to the middle. The order is that of `kernel_map`.
    """
    below = half[half[:, 0] < offsets // 2]
    other = np.stack([offsets - 1 - below[:, 0], below[:, 2], below[:, 1]], axis=1)
    # Within an offset the order stays: outputs and inputs of a map are sorted alike.
    return np.concatenate([half, other[np.argsort(other[:, 0], kind="stable")]])
