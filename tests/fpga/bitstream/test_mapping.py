"""The mapping unit on a board: what it needs, what fits, what its memories hold, and what its bitstream would say."""

from __future__ import annotations

import dataclasses
import json

import numpy as np
import pytest

from zeroskip.fpga.bitstream.fit import TooLargeError
from zeroskip.fpga.bitstream.mapping.design import board_design
from zeroskip.fpga.bitstream.mapping.fit import KEY_LUTS, fitting, needs
from zeroskip.fpga.bitstream.memories import memories
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.rtl.link.boot import boot_records

SYNTHESISED = [(1, 6103, 182, 3), (2, 9923, 172, 6), (4, 17949, 172, 12), (8, 40330, 170, 24)]
"""Look-up tables, block RAMs and multipliers of the units that fit an ULX3S-85F, with their links, after `synth_ecp5`
of Yosys 0.70: two look-up tables a carry cell and four a 16 x 4 memory."""


@pytest.mark.parametrize(("width", "luts", "rams", "multipliers"), SYNTHESISED)
def test_the_estimate_is_near_what_was_synthesised(width: int, luts: int, rams: int, multipliers: int) -> None:
    board = BOARDS["ulx3s-85f"]
    estimate = needs(fitting(board, width), board)
    assert estimate.multipliers == multipliers
    assert estimate.block_rams == pytest.approx(rams, rel=0.02)
    assert estimate.luts == pytest.approx(luts, rel=0.1)


@pytest.mark.parametrize("name", BOARDS)
def test_the_memories_fill_the_board(name: str) -> None:
    """The triples of an offset always find room, and neither memory could be twice as long."""
    board = BOARDS[name]
    for width in KEY_LUTS:
        try:
            geometry = fitting(board, width)
        except TooLargeError:
            continue
        assert not needs(geometry, board).short(board)
        assert geometry.triples >= geometry.keys // 2
        assert 1 << geometry.index_bits == geometry.keys
        longer = dataclasses.replace(geometry, triple_words=2 * geometry.triple_words)
        assert needs(longer, board).short(board)


def test_what_is_short_is_told_and_what_fits() -> None:
    board = BOARDS["ulx3s-25f"]
    with pytest.raises(TooLargeError, match=r"^a unit of width 8 does not fit ULX3S 25F: .*; 4 would fit \(--width 4"):
        fitting(board, 8)
    assert fitting(board, 4).width == 4
    with pytest.raises(TooLargeError, match=r"no unit fits; Tang Nano 20K has room for it \(--board tangnano20k\)$"):
        fitting(BOARDS["icebreaker"], 1)


def test_the_boot_memory_says_who_the_board_is() -> None:
    """It alone is filled after routing, and holds the geometry and the clock that the PLL makes."""
    board, geometry = BOARDS["ulx3s-25f"], fitting(BOARDS["ulx3s-25f"], 1)
    made = board_design(board, geometry, mhz=33, baud=1_000_000)
    assert made.patched == [made.boot.name]
    assert not made.holds_network
    held = np.packbits(made.contents(None)[made.boot], axis=1, bitorder="little").tobytes()
    assert held.endswith(boot_records([]))
    facts = json.loads(held[: -len(boot_records([]))])
    assert (facts["core"], facts["clock"]) == ("mapping", round(made.mhz * 1e6))
    assert facts["geometry"] == dataclasses.asdict(geometry)


def test_the_unit_has_its_memories() -> None:
    """Two of keys, and one of triples; nothing else is larger than the link's buffer."""
    board = BOARDS["ulx3s-25f"]
    geometry = fitting(board, 2)
    made = board_design(board, geometry, mhz=25, baud=1_000_000)
    found = sorted((one.depth, one.width) for one in memories(made.design.rtlil) if one.depth * one.width > 8 * 4096)
    keys = (geometry.words, 2 * (geometry.key_bits + geometry.index_bits))
    assert found == sorted([keys, keys, (geometry.triple_words, 7 + 2 * geometry.index_bits)])
