"""What the mapping unit does for one layer of a sparse convolution: the jobs, their places in the memory, the results.

The unit sorts the points and finds their map; the host gives it unsorted coordinates, and reads triples.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mapping.cycles import map_cycles, sort_cycles
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList, check_indices, kernel_map, points, sort_keys
from zeroskip.model.mapping.keys import kept_bits, shifts


@dataclass(frozen=True, kw_only=True, eq=False)
class Sort:
    """A job that sorts `source` (at word `base`), whose keys keep the bits `kept`, to word `target`; words from `spare`
    on are overwritten. `load` says whether the host puts the list into the memory before. `found` is the list that the
    golden model expects."""

    source: KeyList
    base: int
    target: int
    spare: int
    kept: int
    unique: bool
    load: bool
    found: KeyList


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerPlan:
    """The jobs of a layer: the sorts, and the map between the sorted outputs and inputs.

    `moves` (int64, offsets) are what the `offsets` (integers, count x dims) add to keys. `maps` are the offsets of each
    job that finds a part of the map. `triples` (int64, triples x 3) are what the golden model expects. `cycles` are
    those of the cycle model for each job, the sorts first.
    """

    geometry: MapperGeometry
    sorts: tuple[Sort, ...]
    inputs: Sort
    outputs: Sort
    offsets: NDArray[Any]
    moves: NDArray[np.int64]
    maps: tuple[range, ...]
    triples: NDArray[np.int64]
    cycles: tuple[int, ...]


def plan_layer(
    inputs: NDArray[Any],
    offsets: NDArray[Any] | Sequence[Sequence[int]],
    geometry: MapperGeometry,
    *,
    outputs: NDArray[Any] | None = None,
    strides: Sequence[int] | None = None,
    most_triples: int | None = None,
) -> LayerPlan:
    """Plans the map of a layer between points (integers, n x (1 + dims), the batch number first, in any order).

    The outputs are the `outputs`; or, with `strides` (powers of two), floor(c / stride) * stride of each input; or else
    the inputs. An output at c has a triple (offset number, input, output) for each offset d (count x dims) with an
    input at c + d. Indices are rows of the arrays; with strides, they number the sorted outputs.

    One job finds the whole map, unless it could have more than `most_triples`: then it is cut into jobs of fewer
    offsets, which cannot.

    Raises TypeError or ValueError for points, offsets or strides that do not fit the geometry, for a point that occurs
    twice, and where the triples of one offset could be too many.
    """
    if outputs is not None and strides is not None:
        raise ValueError("outputs and strides must not both be given: strides find the outputs")
    moves = shifts(offsets, geometry)
    if not 1 <= len(moves) <= geometry.offsets:
        raise ValueError(f"offsets must be from 1 to {geometry.offsets}, not {len(moves)}")
    every = (1 << geometry.key_bits) - 1
    first = _listed("inputs", inputs, geometry)
    words = geometry.blocks(len(first))
    other = None if outputs is None else _listed("outputs", outputs, geometry)
    other_words = 0 if outputs is None and strides is None else words if other is None else geometry.blocks(len(other))
    spare = words + other_words
    if (needed := spare + max(words, other_words)) > geometry.words:
        raise ValueError(
            f"words must be at least {needed:,} for these points, not {geometry.words:,}: the lists of the layer and "
            "as much room for sorting"
        )
    own = _sort(first, base=0, target=0, spare=spare, kept=every, unique=False, load=True)
    sorts: tuple[Sort, ...] = (own,)
    ends = own
    if other is not None:
        ends = _sort(other, base=words, target=words, spare=spare, kept=every, unique=False, load=True)
        sorts = (own, ends)
    elif strides is not None:
        kept = kept_bits(strides, geometry)
        ends = _sort(own.found, base=0, target=words, spare=spare, kept=kept, unique=True, load=False)
        sorts = (own, ends)
    counts = [len(sort.source) for sort in sorts]
    maps = _maps(len(moves), min(len(ends.found), len(own.found)), most_triples)
    cycles = (
        *(sort_cycles(geometry, count) for count in counts),
        *(map_cycles(geometry, len(ends.found), len(own.found), len(part)) for part in maps),
    )
    return LayerPlan(
        geometry=geometry,
        sorts=sorts,
        inputs=own,
        outputs=ends,
        offsets=np.asarray(offsets),
        moves=moves,
        maps=maps,
        triples=kernel_map(ends.found, own.found, offsets, geometry),
        cycles=cycles,
    )


def _maps(offsets: int, most: int, most_triples: int | None) -> tuple[range, ...]:
    """The offsets of each job, where an offset has at most `most` triples."""
    if most_triples is None or offsets * most <= most_triples:
        return (range(offsets),)
    if most > most_triples:
        raise ValueError(
            f"triples must be at least {most:,} for these points, not {most_triples:,}: an offset can have as many"
        )
    each = most_triples // most
    return tuple(range(first, min(first + each, offsets)) for first in range(0, offsets, each))


def _sort(source: KeyList, *, kept: int, unique: bool, **fields: Any) -> Sort:
    found = sort_keys(source, kept=kept, unique=unique, renumber=unique)
    return Sort(source=source, kept=kept, unique=unique, found=found, **fields)


def _listed(name: str, coordinates: NDArray[Any], geometry: MapperGeometry) -> KeyList:
    """The keys of the points, none of which may occur twice."""
    listed = points(coordinates, geometry)
    check_indices(name, listed, geometry)
    ordered = sort_keys(listed)
    again = np.flatnonzero(ordered.keys[1:] == ordered.keys[:-1])
    if again.size:
        one, other = ordered.indices[again[0]], ordered.indices[again[0] + 1]
        raise ValueError(
            f"{name} must hold each point once, not the same in rows {one} and {other}: keep one of them, as "
            "numpy.unique does"
        )
    return listed
