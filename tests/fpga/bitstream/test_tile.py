"""The N:M tile on a board: what it needs, what fits, what its memories hold, and what its bitstream would say."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
from support.tile_networks import mlp, pruned

from zeroskip.fpga.bitstream.fit import TooLargeError
from zeroskip.fpga.bitstream.flow import memory_bytes
from zeroskip.fpga.bitstream.memories import memories
from zeroskip.fpga.bitstream.mma.design import board_design
from zeroskip.fpga.bitstream.mma.fit import fitting, needs, shrunk
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.compiler import compile_network
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.model.mma.run_network import run


def tile(generation: str, dtype: str, m: int, n: int, a: int, b: int, d: int) -> TileGeometry:
    words = {"a_words": a, "b_words": b, "d_words": d}
    return mode_geometry(generation=generation, dtype=dtype, out="fp32", m=m, n=n, **words)


SYNTHESISED = [
    ("ulx3s-85f", tile("V100", "fp16", 1, 1, 512, 512, 512), 4317, 11, 4),
    ("ulx3s-85f", tile("V100", "fp16", 2, 2, 512, 512, 512), 11403, 20, 16),
    ("ulx3s-85f", tile("A100", "fp16", 2, 2, 1024, 512, 512), 18499, 40, 32),
    ("ulx3s-85f", tile("A100", "bf16", 1, 2, 512, 512, 512), 8487, 26, 16),
    ("ulx3s-85f", tile("A100", "tf32", 2, 2, 256, 256, 2048), 9812, 36, 16),
    ("icebreaker", tile("V100", "fp16", 1, 1, 256, 256, 256), 5504, 25, 4),
    ("icebreaker", tile("A100", "tf32", 1, 1, 256, 256, 256), 5606, 28, 4),
]
"""Look-up tables, block RAMs and multipliers of tiles with their links: on the ECP5 after `synth_ecp5` of Yosys 0.70,
two look-up tables a carry cell and four a 16 x 4 memory; on the iCE40 the places that nextpnr counted (`--pack-only`),
more than there are."""


@pytest.mark.parametrize(("board", "geometry", "luts", "rams", "multipliers"), SYNTHESISED)
def test_the_estimate_is_near_what_was_synthesised(
    board: str, geometry: TileGeometry, luts: int, rams: int, multipliers: int
) -> None:
    """Block RAMs and multipliers are counted, look-up tables estimated."""
    estimate = needs(geometry, BOARDS[board])
    assert (estimate.block_rams, estimate.multipliers) == (rams, multipliers)
    assert estimate.luts == pytest.approx(luts, rel=0.1)


def test_the_estimate_is_near_what_was_built() -> None:
    built = json.loads((Path(__file__).parents[3] / "docs/measured/fpga-build-ulx3s-85f-tile.json").read_text())
    estimate = needs(TileGeometry(**built["geometry"]), BOARDS[built["board"]])
    assert (estimate.block_rams, estimate.multipliers) == (built["ram"], built["dsp"])
    assert estimate.luts == pytest.approx(built["lut"], rel=0.1)


def network(geometry: TileGeometry) -> MmaNetwork:
    return compile_network(pruned(mlp(), geometry.pattern), (30,), geometry)


def test_memories_that_fit_stay_and_others_are_halved() -> None:
    """By hand, for 4 x 4 x 8: a word of A has 144 bits, one of B 256, one of D 128. 512 words of 36 bits are a block
    RAM; with 4 banks each and the link, 512 words take 4 * (4 + 8 + 4) + 4 = 68 of them, more than a 25F has."""
    board = BOARDS["ulx3s-85f"]
    small = network(TileGeometry(m=1, n=1, a_words=2048, b_words=512, d_words=700))
    assert fitting(small, board, None).geometry == small.geometry
    compiled = network(TileGeometry())
    found = fitting(compiled, board, None)
    assert needs(found.geometry, board).block_rams <= board.device.block_rams
    assert found.geometry != compiled.geometry
    for field in ("a_words", "b_words", "d_words"):
        assert getattr(compiled.geometry, field) % getattr(found.geometry, field) == 0
    inputs = np.random.default_rng(0).normal(size=(5, 30)).astype(np.float32)
    assert np.array_equal(run(found, inputs).outputs, run(compiled, inputs).outputs)
    least = shrunk(TileGeometry(), BOARDS["ulx3s-25f"])
    assert (least.a_words, least.b_words, least.d_words) == (512, 512, 512)
    assert needs(least, BOARDS["ulx3s-25f"]).block_rams == 68


def test_what_is_short_is_told_and_what_fits() -> None:
    """The tile of the remedy fits, and the next larger one does not."""
    board = BOARDS["ulx3s-12f"]
    with pytest.raises(TooLargeError) as told:
        fitting(network(TileGeometry()), board, None)
    message = str(told.value)
    assert message.startswith("a tile of 4 x 4 x 8 (A100, fp16) does not fit ULX3S 12F: ")
    for what in ("look-up tables", "block RAMs", "multipliers"):
        assert what in message
    assert message.endswith("; 1 x 2 would fit (zeroskip compile --core mma --m 1 --n 2)")
    fitting(network(TileGeometry(m=1, n=2)), board, None)
    with pytest.raises(TooLargeError):
        fitting(network(TileGeometry(m=2, n=2)), board, None)
    with pytest.raises(
        TooLargeError, match=r"; no tile with the 8 products of A100 in fp16 fits; ULX3S 85F has room for it \(--board"
    ):
        fitting(network(TileGeometry()), BOARDS["icebreaker"], None)


def test_the_boot_memory_says_who_the_board_is() -> None:
    """It alone is filled after routing, and holds the geometry and the clock that the PLL makes, and no network."""
    geometry = tile("V100", "fp16", 1, 2, 512, 512, 512)
    board = board_design(BOARDS["ulx3s-12f"], geometry, mhz=33, baud=1_000_000)
    assert board.patched == [board.boot.name]
    assert not board.holds_network
    held = np.packbits(board.contents(network(geometry))[board.boot], axis=1, bitorder="little").tobytes()
    assert board.boot.depth == len(held)
    text, records = held[:-2], held[-2:]
    facts = json.loads(text)
    assert (facts["core"], facts["network"], facts["clock"]) == ("mma", "", round(board.mhz * 1e6))
    assert facts["geometry"] == dataclasses.asdict(geometry)
    assert records == bytes(2), "there are no requests"
    assert np.array_equal(memory_bytes(b"\x05\x80")[:, [0, 1, 2, 7]], [[1, 0, 1, 0], [0, 0, 0, 1]])


def test_the_tile_has_its_memories() -> None:
    """A bank of A and D for each row, one of B for each column, as block RAM on every board: D is read while it is
    written, which the iCE40's single-port memories cannot."""
    geometry = tile("V100", "fp16", 1, 2, 300, 400, 500)
    for name in ("ulx3s-12f", "icebreaker"):
        made = board_design(BOARDS[name], geometry, mhz=BOARDS[name].input_mhz, baud=1_000_000)
        found = sorted((one.depth, one.width) for one in memories(made.design.rtlil) if ".gemm." in one.name)
        # Below 64 words are the sums under way.
        assert [sizes for sizes in found if sizes[0] > 64] == [(300, 72), (400, 128), (400, 128), (500, 64)]
        assert "SB_SPRAM256KA" not in made.design.rtlil
