"""Cycle-exact model of the mapping unit (zeroskip.rtl.mapping.mapper): `start` to `done`, while no triples wait."""

from __future__ import annotations

from zeroskip.model.mapping.geometry import MapperGeometry

_READ = 6
"""A pass begins; its first block leaves a reader five cycles later."""
_WRITE = 4
"""Matcher or thinner, and packer."""
_MERGE = 5
"""The lanes of the merger."""
_DISTANCES = 4
_LEAST = 1
"""The least distance of each point, and the least entry of all."""
_SKID = 1
"""A register whose place behind it takes what comes when nothing more can be taken."""


def _merge(geometry: MapperGeometry, blocks: int) -> int:
    """A pass that merges so many blocks; the first one's cycle is among the fill."""
    return blocks - 1 + _READ + _MERGE + geometry.settle_cycles + _SKID + _WRITE


def map_cycles(geometry: MapperGeometry, outputs: int, inputs: int, offsets: int) -> int:
    """Cycles of a map: each offset takes as many as both lists have words, and the pipeline is filled once."""
    return _merge(geometry, offsets * (geometry.blocks(outputs) + geometry.blocks(inputs)))


def sort_cycles(geometry: MapperGeometry, keys: int) -> int:
    """Cycles of a sort: a pass that sorts each word, and passes that merge runs until there is one."""
    words = geometry.blocks(keys)
    cycles = words - 1 + _READ + geometry.sort_cycles + _SKID + _WRITE
    length = 1
    while True:
        # A run without a partner is merged with a word that has no keys.
        cycles += _merge(geometry, words + (-(-words // length) % 2))
        length *= 2
        if length >= words:
            return cycles


def rank_cycles(geometry: MapperGeometry, points: int, queries: int) -> int:
    """Cycles of a ranking: each query takes as many as the points have words, and the pipeline is filled once.

    `together` queries take turns. Where there are fewer, the last ones, each word takes as many cycles as if they were
    all there, but the last word.
    """
    words, others = geometry.blocks(points), (queries - 1) % geometry.together + 1
    blocks = (queries - others) * words + (words - 1) * geometry.together + others
    return blocks - 1 + _READ + _DISTANCES + geometry.sort_cycles + _SKID + geometry.together + _SKID + _WRITE


def farthest_cycles(geometry: MapperGeometry, points: int, samples: int) -> int:
    """Cycles of farthest-point sampling, for `samples` points after the first: each takes as many as the points have
    words, the pipeline, and two in which its key is looked up for the next."""
    fill = _READ + _DISTANCES + _LEAST + geometry.sort_cycles + _SKID + _LEAST + _WRITE
    return samples * (geometry.blocks(points) - 1 + fill) + 2 * (samples - 1)
