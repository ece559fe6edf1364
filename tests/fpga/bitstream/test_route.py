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


def test_every_pass_of_place_and_route_is_told() -> None:
    """Lines of nextpnr 0.11.1: the placer `static`, its refining, router2."""
    phases: list[str] = []
    heard = nextpnr_phase(phases.append)
    for line in (
        "Info: iter=3 steplen=1.086988 a=1.618034 penalty=[0.00, 0.00, 0.00, 0.00]",
        "Info: Running simulated annealing placer for refinement.",
        "Info:   at iteration #5: temp = 0.000000, timing cost = 528, wirelen = 326611",
        "Info:     iter=6 wires=979299 overused=3313 overuse=3325 tmgfail=38 archfail=NA",
    ):
        heard(line)
    assert phases == [
        "placing: pass 3",
        "placing: refining",
        "placing: pass 5",
        "routing: pass 6, 3325 wires in conflict",
    ]
