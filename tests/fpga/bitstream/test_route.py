"""How place and route is called."""

from __future__ import annotations

import pytest

from zeroskip.fpga.bitstream.phases import nextpnr_phase
from zeroskip.fpga.bitstream.route import spread_options
from zeroskip.fpga.boards.board import GW2AR_18, ICE40UP5K, LFE5U_25, LFE5U_85, Device

ARRAY = {"LUT4": 18_027, "CCU2C": 1_922, "TRELLIS_DPR16X4": 1_540, "PFUMX": 2_876, "TRELLIS_FF": 15_703}
"""Cells of an array of 16 PEs after synthesis: nextpnr counted 31,111 look-up tables, 37 % of an LFE5U-85."""


@pytest.mark.parametrize(
    ("device", "options"),
    [(LFE5U_85, ["--placer", "static", "--tmg-ripup"]), (LFE5U_25, []), (ICE40UP5K, []), (GW2AR_18, [])],
)
def test_cells_spread_over_a_device_that_has_room(device: Device, options: list[str]) -> None:
    assert spread_options(device, ARRAY) == options


def test_room_is_counted_in_look_up_tables() -> None:
    """60 % of 83,640 are 50,184; a carry cell takes two places and a small memory six, as nextpnr counts them."""
    most = {"LUT4": 50_184 - 2 * 500 - 6 * 100, "CCU2C": 500, "TRELLIS_DPR16X4": 100}
    assert spread_options(LFE5U_85, most)
    for cell in most:
        assert not spread_options(LFE5U_85, {**most, cell: most[cell] + 1})


def test_the_placers_tell_when_they_begin() -> None:
    phases: list[str] = []
    heard = nextpnr_phase(phases.append)
    for line in ("Info: Running Static placer...", "Info: iter=3 steplen=0.2 a=1.0 penalty=[0.0, 0.0]"):
        heard(line)
    heard("Info: Running simulated annealing placer for refinement.")
    assert phases == ["placing", "placing: refining"]
