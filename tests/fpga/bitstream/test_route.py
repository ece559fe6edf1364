"""How place and route is called."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from zeroskip.fpga.bitstream import route
from zeroskip.fpga.bitstream.phases import nextpnr_phase
from zeroskip.fpga.bitstream.rip_up import FRUITLESS, OutOfReachError, RipUpWatch
from zeroskip.fpga.bitstream.route import place_and_route, spread_options
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


def router_pass(number: int, slow: int) -> str:
    """A line of nextpnr 0.11.1 with its option tmg-ripup."""
    return f"Info:     iter={number} wires=27253 overused=5 overuse=5 tmgfail={slow} archfail=NA"


def passes_heard(slow: Sequence[int]) -> int:
    """How many passes, each with so many connections that are too slow, the watch lets happen."""
    watch = RipUpWatch()
    for number, one in enumerate(slow):
        try:
            watch.heard(router_pass(number, one))
        except OutOfReachError:
            return number
    return len(slow)


def test_wires_are_taken_up_as_long_as_it_helps() -> None:
    """1,300 connections are too slow, as in a PE alone that should reach 160 MHz: no progress after the first pass. One
    less at times is progress, and so is none, which conflicts of wires undo; a line of the placer is no pass."""
    assert passes_heard([1300] * 500) == FRUITLESS
    slowly = [slow for slow in range(20, 0, -1) for _ in range(FRUITLESS)]
    assert passes_heard(slowly) == len(slowly)
    assert passes_heard([0, *[3] * (FRUITLESS - 1)] * 8) == 8 * FRUITLESS
    assert passes_heard([0, *[3] * (FRUITLESS + 1)]) == FRUITLESS + 1
    RipUpWatch().heard("Info: iter=3 steplen=1.086988 a=1.618034 penalty=[0.00, 0.00, 0.00, 0.00]")


def test_a_clock_out_of_reach_ends_in_a_routed_design(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The router is stopped, and called again without the option; so there is a report, and a path to name."""
    calls: list[Sequence[str]] = []

    class Nextpnr:
        def run(self, arguments: Sequence[str], *, folder: Path, heard: Callable[[str], None]) -> None:
            calls.append(arguments)
            if "--tmg-ripup" in arguments:
                for number in range(500):
                    heard(router_pass(number, 1300))
            (folder / "report.json").write_text("{}")

    monkeypatch.setitem(route.NEXTPNR, "ecp5", Nextpnr())  # type: ignore[arg-type]
    told: list[str] = []
    options = ["--85k", "--placer", "static", "--tmg-ripup"]
    place_and_route(tmp_path, "ecp5", options, mhz=160, seed=1, announce=told.append)
    assert len(calls) == 2
    assert calls[1] == [one for one in calls[0] if one != "--tmg-ripup"]
    assert (tmp_path / "report.json").exists()
    assert told[FRUITLESS + 1].startswith("the clock is out of reach: ")
