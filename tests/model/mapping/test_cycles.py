"""Cycles by hand; that they are those of the RTL is tested with it."""

import pytest

from zeroskip.model.mapping.cycles import farthest_cycles, map_cycles, rank_cycles, sort_cycles
from zeroskip.model.mapping.geometry import MapperGeometry


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16, 32, 64])
def test_a_map_merges_a_block_a_cycle(width: int) -> None:
    """Within a tenth of keys / width for each offset, and hardly more than that for all of them."""
    geometry = MapperGeometry(width=width)
    keys, offsets = 20_000, 27
    least = offsets * 2 * keys / width
    assert least < map_cycles(geometry, keys, keys, offsets) < 1.005 * least
    assert map_cycles(geometry, keys, keys, 1) < 1.1 * 2 * keys / width


def test_maps_by_hand() -> None:
    geometry = MapperGeometry(width=8)
    # 3 offsets of 2 + 4 words, the last of each not full.
    assert map_cycles(geometry, 9, 30, 3) == 3 * 6 + 21
    # Lists without keys are read as a word.
    assert map_cycles(geometry, 0, 0, 5) == 5 * 2 + 21


def test_sorts_by_hand() -> None:
    geometry = MapperGeometry(width=4)
    # 5 words: sorted one by one; then 5 runs, of which the last has no partner; 3 runs; 2 runs.
    assert sort_cycles(geometry, 18) == (5 + 10 + 6) + (6 + 19) + (6 + 19) + (5 + 19)
    # One word: a pass that merges it with nothing drops what occurs twice.
    assert sort_cycles(geometry, 1) == (1 + 10 + 6) + (2 + 19)


def test_rankings_by_hand() -> None:
    geometry = MapperGeometry(width=4)
    # 5 words; 6 queries take turns. Two groups of 6, and one of 2 whose words take as long but for the last.
    assert rank_cycles(geometry, 18, 12) == 12 * 5 + 27
    assert rank_cycles(geometry, 18, 14) == 12 * 5 + 4 * 6 + 2 + 27
    # Samples need not take turns.
    assert farthest_cycles(geometry, 18, 3) == 3 * (5 + 22) + 2 * 2
