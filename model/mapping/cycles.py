"""Cycle-exact model of the mapping unit (zeroskip.rtl.mapping.mapper): `start` to `done`, while no triples wait."""

from __future__ import annotations

from zeroskip.model.mapping.geometry import MapperGeometry

_MERGE = 10
"""Cycles around the blocks of a pass that merges: reader 4, merger 3, matcher or thinner 1, packer 3, less the first
block's own cycle."""
_PRESORT = 7
"""The same of the pass that sorts each block, without the block sorter."""

_RANK = 13
"""The same of a ranking: three more than a merge, for the distances."""


def map_cycles(geometry: MapperGeometry, outputs: int, inputs: int, offsets: int) -> int:
    """Cycles of a map: each offset takes as many as both lists have words, and the pipeline is filled once."""
    return offsets * (geometry.blocks(outputs) + geometry.blocks(inputs)) + _MERGE


def sort_cycles(geometry: MapperGeometry, keys: int) -> int:
    """Cycles of a sort: a pass that sorts each word, and passes that merge runs until there is one."""
    words = geometry.blocks(keys)
    cycles = words + _PRESORT + max(1, geometry.levels)
    length = 1
    while True:
        # A run without a partner is merged with a word that has no keys.
        cycles += words + (-(-words // length) % 2) + _MERGE
        length *= 2
        if length >= words:
            return cycles


def rank_cycles(geometry: MapperGeometry, points: int, queries: int) -> int:
    """Cycles of a ranking: each query takes as many as the points have words, and the pipeline is filled once."""
    return queries * geometry.blocks(points) + _RANK + max(1, geometry.levels)


def farthest_cycles(geometry: MapperGeometry, points: int, samples: int) -> int:
    """Cycles of farthest-point sampling, for `samples` points after the first: each takes as many as the points have
    words, the pipeline of a ranking with a stage more, and two in which its key is looked up for the next."""
    return samples * (rank_cycles(geometry, points, 1) + 1) + 2 * (samples - 1)
