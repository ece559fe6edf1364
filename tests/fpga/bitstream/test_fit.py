"""Whether an array fits a board."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.networks import random_network

from zeroskip.fpga.bitstream.eie.fit import fitting, needs
from zeroskip.fpga.bitstream.fit import TooLargeError, block_rams
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.model.eie.geometry import EieGeometry


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
    """Block RAMs and multipliers are counted, look-up tables estimated."""
    estimate = needs(EieGeometry(**built["geometry"]), BOARDS[built["board"]])
    assert (estimate.block_rams, estimate.multipliers) == (built["ram"], built["dsp"])
    assert estimate.single_port_rams == built["spram"]
    assert estimate.luts == pytest.approx(built["lut"], rel=0.1)


def test_what_is_short_is_told() -> None:
    rng = np.random.default_rng(0)
    network = random_network(rng, EieGeometry(pes=4, activation_rows=1024), (700, 400, 9), 0.5)
    board = BOARDS["ulx3s-12f"]
    with pytest.raises(TooLargeError, match=r"^16 PEs do not fit ULX3S 12F: .*\d+ look-up tables for \d+") as told:
        fitting(network, board, 16)
    assert "too few" in str(told.value)


def test_auto_takes_the_largest_that_fits() -> None:
    network = random_network(np.random.default_rng(0), EieGeometry(pes=4), (60, 40, 9), 0.2)
    for board in BOARDS.values():
        found = fitting(network, board, None).geometry
        assert not needs(found, board).short(board)
        assert needs(dataclasses.replace(found, pes=2 * found.pes), board).short(board)
