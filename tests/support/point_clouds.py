"""Points and kernels for the tests of the mapping unit, and maps by dictionaries."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np

from zeroskip.model.mapping.geometry import MapperGeometry

Triples = list[list[int]]


def distinct_points(geometry: MapperGeometry, count: int, seed: int = 0, *, spread: int = 4) -> Any:
    """Up to `count` distinct points near each other, unsorted, of several batches; a few at the ends of the range."""
    rng = np.random.default_rng(seed)
    low, high = max(geometry.lowest, -spread), min(geometry.highest, spread)
    places = rng.integers(low, high + 1, (count, geometry.dims))
    ends = rng.choice([geometry.lowest, geometry.highest], places.shape)
    places = np.where(rng.random((count, 1)) < 0.05, ends, places)
    batch = rng.integers(0, min(3, geometry.batches), count)
    found = np.unique(np.column_stack([batch, places]), axis=0)
    return rng.permutation(found)


def cube(size: int, dims: int, dilation: int = 1) -> Any:
    """The offsets of a kernel of odd size, the first axis slowest."""
    half = size // 2
    return dilation * np.array(list(itertools.product(range(-half, half + 1), repeat=dims)))


def map_by_hand(outputs: Any, inputs: Any, offsets: Any) -> Triples:
    """The triples (offset, input, output) by looking each point up; indices are rows, the order is that of the unit."""
    rows = {tuple(point): row for row, point in enumerate(inputs.tolist())}
    order = sorted(range(len(outputs)), key=lambda row: outputs[row].tolist())
    found = []
    for number, offset in enumerate(offsets.tolist()):
        for row in order:
            batch, *place = outputs[row].tolist()
            at = (batch, *(c + d for c, d in zip(place, offset, strict=True)))
            if at in rows:
                found.append([number, rows[at], row])
    return found
