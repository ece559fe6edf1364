"""Whether an array fits a board."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.networks import random_conv_network, random_network

from zeroskip.fpga.bitstream.eie import fit
from zeroskip.fpga.bitstream.eie.fit import fitting, needs
from zeroskip.fpga.bitstream.fit import CARRIER_LUTS, Needs, TooLargeError, block_rams
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.lay_out import relaid
from zeroskip.model.network.stages import ConvStage


def test_block_rams_by_hand() -> None:
    """From the data sheets: 18 kbit as 512 x 36 to 16,384 x 1; 4 kbit as 256 x 16 to 2,048 x 2."""
    assert block_rams(512, 64, "ecp5") == 2
    assert block_rams(4096, 64, "ecp5") == 16
    assert block_rams(1024, 15, "ecp5") == 1
    assert block_rams(16384, 2, "ecp5") == 2
    assert block_rams(256, 13, "ice40") == 1
    assert block_rams(512, 13, "ice40") == 2


MEASURED = Path(__file__).parents[3] / "docs/measured"
BUILDS = [json.loads(file.read_text()) for file in sorted(MEASURED.glob("fpga-build-*.json"))]
PACKED = json.loads((MEASURED / "fpga-cells-eie.json").read_text())
"""Arrays with their links that were synthesised and packed, but not placed."""
ARRAYS = [one for one in BUILDS if one["pes"]] + PACKED


@pytest.mark.parametrize("built", ARRAYS, ids=lambda one: f"{one['board']}-{one['geometry']['pes']}")
def test_the_estimate_is_near_what_was_built(built: dict[str, Any]) -> None:
    """Block RAMs and multipliers are counted, look-up tables estimated. These were fitted to some of the designs:
    that they are near is no proof for others, but tells when the array has changed and they must be fitted anew."""
    estimate = needs(EieGeometry(**built["geometry"]), BOARDS[built["board"]])
    assert (estimate.block_rams, estimate.multipliers) == (built["ram"], built["dsp"])
    assert estimate.single_port_rams == built["spram"]
    assert estimate.luts + CARRIER_LUTS[built.get("carrier", "uart")] == pytest.approx(built["lut"], rel=0.1)


def test_what_is_short_is_told() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng, EieGeometry(pes=4, activation_rows=1024), (700, 400, 9), 0.5)
    board = BOARDS["ulx3s-12f"]
    with pytest.raises(TooLargeError, match=r"^16 PEs do not fit ULX3S 12F: .*\d+ look-up tables for \d+") as told:
        fitting(network, board, 16)
    assert "too few" in str(told.value)


def test_what_is_short_is_told_of_the_array_that_lacks_least() -> None:
    """With 1 PE: 548,680 entries on average fill 68,585 words of 64 bits. 131,072 places take 2 RAMs for each 512."""
    network = random_network(np.random.default_rng(0), EieGeometry(pes=4), (784, 1000, 300, 10), 0.5)
    with pytest.raises(TooLargeError) as told:
        fitting(network, BOARDS["ulx3s-85f"], None)
    found = re.fullmatch(
        r"the network does not fit ULX3S 85F: no number of PEs fits; 1 PE lacks least: (\d+) block RAMs for 208, "
        r"(\d+) too few; no board that zeroskip knows has room for it",
        str(told.value),
    )
    assert found, told.value
    needed, short = map(int, found.groups())
    assert (needed // 512, needed - short) == (1, 208)
    with pytest.raises(TooLargeError, match=r"^1 PE does not fit ULX3S 12F: .*; 1 PE lacks least: ") as told:
        fitting(network, BOARDS["ulx3s-12f"], 1)
    assert set(re.findall(r"(\d+) block RAMs", str(told.value))) == {f"{needed}"}


def test_the_smallest_board_with_room_is_named() -> None:
    """LeNet-300-100's sizes at a density of 8 %: its entries take more block RAMs than an iCE40UP5K has."""
    network = random_network(np.random.default_rng(0), EieGeometry(pes=4), (784, 300, 100, 10), 0.08)
    with pytest.raises(TooLargeError, match=r"; Tang Nano 20K has room for it \(--board tangnano20k\)$"):
        fitting(network, BOARDS["icebreaker"], None)
    assert fitting(network, BOARDS["tangnano20k"], 1).geometry.pes == 1


def test_a_layer_too_wide_for_few_pes_is_judged_at_those_that_hold_it() -> None:
    """A PE has at most 65,536 rows."""
    network = random_network(np.random.default_rng(0), EieGeometry(pes=16), (3, 70_000), 0.1)
    board = BOARDS["ulx3s-85f"]
    with pytest.raises(
        TooLargeError, match=r"^1 PE does not fit .*: 70,000 inputs or outputs of a layer for 65,536, 4,"
    ):
        fitting(network, board, 1)
    with pytest.raises(TooLargeError, match=r"^16 PEs do not fit .* block RAMs .*; no number of PEs fits; 2 PEs lack"):
        fitting(network, board, 16)


@pytest.mark.parametrize(("board", "pes"), [("ulx3s-85f", 16), ("ulx3s-12f", 4), ("tangnano20k", 4), ("icebreaker", 1)])
def test_auto_takes_the_largest_that_fits(monkeypatch: pytest.MonkeyPatch, board: str, pes: int) -> None:
    """Of arrays that take 4,000 look-up tables a PE: 90 % of 83,640, of 24,288 and of 20,736, and 5,280 places."""
    network = random_network(np.random.default_rng(0), EieGeometry(pes=4), (60, 40, 9), 0.2)
    monkeypatch.setattr(fit, "needs", lambda geometry, _: Needs(luts=4000 * geometry.pes, block_rams=0, multipliers=0))
    assert fitting(network, BOARDS[board], None).geometry.pes == pes


def test_tiles_are_halved_until_a_network_fits() -> None:
    """24,000 weights stored 16 times take 16,384 words of a PE, of 4 PEs more than 56 block RAMs of 18 kbit; stored
    twice they take 2,048. By hand: 8 bytes x 2,048 words x 4 PEs are 32 of these block RAMs."""
    stage = ConvStage(layer=0, channels=4, height=13, width=13, kernel=(10, 10), stride=(1, 1), padding=(0, 0))
    network = random_conv_network(np.random.default_rng(0), EieGeometry(pes=4), [stage], [60], 0.9)
    whole = relaid(network, 4, positions=16)
    assert (whole.together, whole.geometry.entry_words) == ([16], 16384)
    board = BOARDS["ulx3s-25f"]
    assert needs(whole.geometry, board).short(board)
    laid = fitting(whole, board, 4)
    assert not needs(laid.geometry, board).short(board)
    assert (laid.together, laid.geometry.entry_words) == ([2], 2048)
    assert np.array_equal(laid.position_codes(0), network.position_codes(0))


def test_auto_takes_fewer_pes_where_these_are_faster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Four outputs at 144 positions, by 9 inputs each: one position in a start, that are 144 starts of at least 9
    columns; 16 in a start, that are 9 starts of at most 54 inputs. An array of 8 PEs that has room only for the former
    is slower than one of 4 PEs that has room for the latter."""
    stage = ConvStage(layer=0, channels=1, height=14, width=14, kernel=(3, 3), stride=(1, 1), padding=(0, 0))
    network = random_conv_network(np.random.default_rng(0), EieGeometry(pes=4), [stage], [4], 0.9)
    network = relaid(network, 4, positions=16)

    laid = {(pes, n): relaid(network, pes, positions=n) for pes, n in ((8, 1), (4, 16), (2, 16), (1, 16))}
    monkeypatch.setattr(fit, "_fitting", lambda *_: iter(laid.values()))
    assert fitting(network, BOARDS["ulx3s-85f"], None) is laid[4, 16]
    # With as much room, the largest is the fastest.
    laid[8, 1] = relaid(network, 8, positions=16)
    assert fitting(network, BOARDS["ulx3s-85f"], None) is laid[8, 1]


def test_an_icebreaker_has_room_for_128_words() -> None:
    """One of 256 words took 5,291 places of 5,280 when it was packed."""
    board = BOARDS["icebreaker"]
    sizes = {"pes": 1, "pointers": 128, "activation_rows": 64, "layers": 2}
    assert needs(EieGeometry(**sizes, entry_words=128), board).short(board) == []
    (problem,) = needs(EieGeometry(**sizes, entry_words=256), board).short(board)
    assert problem == "5,290 look-up tables for 5,280, 10 too few"
