"""Generations that add alike share a simulator: their hardware is the same."""

from __future__ import annotations

import itertools

import pytest

from zeroskip.cosim.emit import SimulationPlatform
from zeroskip.cosim.mma.design import hardware_key
from zeroskip.cosim.mma.formats import modes
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.emit import emit_rtlil
from zeroskip.rtl.mma.tile import Tile

KEYS = [list(group) for _, group in itertools.groupby(sorted(modes(), key=hardware_key), key=hardware_key)]
"""The modes of all generations, those with the same key together."""
QUICK = [("fp16", "fp32"), ("int8", "int32")]


def test_generations_with_one_key() -> None:
    """Of the 50 modes, 28 have hardware of their own."""
    assert len(KEYS) == 28
    found = {(dtype, out): set() for dtype, out in QUICK}
    for group in KEYS:
        mode = group[0].dtype, group[0].out
        if mode in found:
            found[mode].add(" ".join(geometry.generation for geometry in group))
    assert found == {
        ("fp16", "fp32"): {"V100", "A100 Ada", "H100 B200"},
        ("int8", "int32"): {"A100 Ada H100 B200"},
    }


@pytest.mark.parametrize(
    "group",
    [
        pytest.param(
            group,
            marks=() if (group[0].dtype, group[0].out) in QUICK else pytest.mark.slow,
            id=f"{group[0].dtype}-{group[0].out}-{'-'.join(geometry.generation for geometry in group)}",
        )
        for group in KEYS
        if len(group) > 1
    ],
)
def test_their_hardware_is_the_same(group: list[TileGeometry]) -> None:
    """To the letter: nothing in the tile reads the name of a generation."""
    first, *others = (emit_rtlil(Tile(geometry), "tile", SimulationPlatform()) for geometry in group)
    assert all(other == first for other in others)
