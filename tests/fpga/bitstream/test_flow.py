"""What a board's memories hold for a network."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks import random_network

from zeroskip.cosim.eie.memories import network_memories
from zeroskip.fpga.bitstream.eie.design import board_design as array_design
from zeroskip.fpga.bitstream.eie.design import default_mhz
from zeroskip.fpga.bitstream.memories import marker, memories, with_contents
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.fpga.eie.boot import boot_memory
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.lay_out import relaid


def small_network(seed: int = 0) -> EieNetwork:
    return relaid(random_network(np.random.default_rng(seed), EieGeometry(pes=4), (60, 40, 9), 0.3), 2)


def test_matrices_are_those_that_the_simulations_load() -> None:
    """Word by word against the files with which every co-simulation fills the memories, which it then proves right."""
    network = small_network()
    board = array_design(BOARDS["ulx3s-12f"], network.geometry, mhz=25, baud=1_000_000)
    contents = board.contents(network)
    files = network_memories(network)
    assert len(board.matrices) == len(files) == 6
    for memory in board.matrices:
        ending = memory.name.partition("array.")[2].removesuffix(".memory").replace("pe_0.", "pe_0.instance.")
        ending = ending.replace("pe_1.", "pe_1.instance.")
        (wanted,) = [text for name, text in files.items() if name.endswith(f"{ending}.model")]
        bits = contents[memory]
        words = [sum(int(bit) << place for place, bit in enumerate(word)) for word in bits]
        lines = [int(line, 16) for line in wanted.split()]
        assert words[: len(lines)] == lines
        assert not any(words[len(lines) :])


def test_the_boot_memory_holds_the_tables() -> None:
    """Byte by byte, at the clock that the PLL makes."""
    network = small_network()
    board = array_design(BOARDS["ulx3s-12f"], network.geometry, mhz=33, baud=1_000_000)
    clock = round(board.mhz * 1e6)
    assert clock == pytest.approx(33e6, rel=0.003)
    wanted = boot_memory(network.geometry, network, buffer=board.buffer, clock=clock).contents
    held = np.packbits(board.contents(network)[board.boot], axis=1, bitorder="little").tobytes()
    assert held == wanted
    assert board.boot.depth == len(wanted)


@pytest.mark.parametrize(
    ("board", "pes", "mhz"),
    [
        ("ulx3s-85f", 1, 70),
        ("orangecrab-25f", 8, 70),
        ("ulx3s-85f", 16, 70),
        ("ulx3s-85f", 32, 60),
        ("ecpix5-85", 64, 40),
        ("icebreaker", 1, 24),
    ],
)
def test_the_clock_where_nobody_asks_for_one(board: str, pes: int, mhz: float) -> None:
    """Below what builds of that size have reached after routing (docs/measured); with 64 PEs nothing was measured."""
    assert default_mhz(BOARDS[board], EieGeometry(pes=pes)) == mhz


def test_the_design_does_not_depend_on_the_network() -> None:
    """Two networks of one geometry share the routed design, and differ in every memory of a PE."""
    one, two = small_network(1), small_network(2)
    assert one.geometry == two.geometry
    board = array_design(BOARDS["ulx3s-12f"], one.geometry, mhz=25, baud=1_000_000)
    again = array_design(BOARDS["ulx3s-12f"], two.geometry, mhz=25, baud=1_000_000)
    assert (board.design.rtlil, board.design.constraints) == (again.design.rtlil, again.design.constraints)
    assert board.holds_network
    for memory, bits in board.contents(one).items():
        assert not np.array_equal(bits, board.contents(two)[memory])


def test_where_words_cannot_be_in_the_bitstream() -> None:
    """On an iCEBreaker the words lie in memories without contents: then the boot memory holds no table either."""
    network = relaid(small_network(), 1)
    board = array_design(BOARDS["icebreaker"], network.geometry, mhz=12, baud=1_000_000)
    assert not board.holds_network
    assert "SB_SPRAM256KA" in board.design.rtlil
    empty = boot_memory(network.geometry, None, buffer=board.buffer, clock=12_000_000).contents
    assert board.boot_memory(network).contents == empty


def test_markers_are_in_the_design() -> None:
    """In RTLIL the first word's lowest bit is the last digit; each memory has a marker of its own."""
    network = small_network()
    board = array_design(BOARDS["ulx3s-12f"], network.geometry, mhz=25, baud=1_000_000)
    first, second = board.matrices[:2]
    changed = with_contents(board.design.rtlil, {first: marker(first)})
    digits = f"{first.depth * first.width}'" + "".join(map(str, marker(first).reshape(-1)[::-1]))
    assert changed.count(digits) == 1
    assert not np.array_equal(marker(first), marker(second))
    assert [memory.name for memory in memories(changed)] == [memory.name for memory in memories(board.design.rtlil)]
