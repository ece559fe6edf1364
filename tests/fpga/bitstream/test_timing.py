"""What is read from the report of place and route."""

from __future__ import annotations

import re
from typing import Any

import pytest

from zeroskip.fpga.bitstream.timing import Timing, TimingError, timing


def step(kind: str, delay: float, net: str = "", to: str = "") -> dict[str, Any]:
    return {"type": kind, "delay": delay, "net": net, "from": {"cell": ""}, "to": {"cell": to}}


def report(achieved: float) -> dict[str, Any]:
    slow = [
        step("clk-to-q", 0.5),
        step("routing", 1.25, "core.pe_0.table.0.10_DO_2"),
        step("logic", 0.0),
        step("routing", 0.0, "core.pe_0.table.0.7_DO"),
        step("logic", 0.25),
        step("routing", 2.0, "core.pe_0.table_LUT4_B_Z"),
        step("logic", 1.0),
        step("routing", 2.5, "core.pe_0.sum"),
        step("logic", 0.0),
        step("routing", 0.5, "\\$abc$123$lo4"),
        step("setup", 2.0, to="core.pe_0.total_TRELLIS_FF_Q_3"),
    ]
    quick = [step("clk-to-q", 0.5), step("routing", 1.0, "core.pe_0.other")]
    core, board = "posedge $glbnet$core_clk", "posedge $glbnet$clock.board_clk"
    return {
        "fmax": {
            "$glbnet$core_clk": {"achieved": achieved, "constraint": 80.0},
            "$glbnet$clock.board_clk": {"achieved": 300.0, "constraint": 25.0},
        },
        "critical_paths": [
            {"from": core, "to": core, "path": quick},
            {"from": core, "to": core, "path": slow},
            {"from": board, "to": core, "path": [step("routing", 99.0, "crossing")]},
        ],
    }


def test_the_slowest_path_of_the_cores_clock() -> None:
    """By hand: 0.5 + 1.25 + 0.25 + 2 + 1 + 3 + 2 ns. The path that crosses clocks is none of it."""
    found = timing(report(100.0), 80.0)
    assert found.fmax == {"sync": 100.0, "clock.board_clk": 300.0}
    assert found.constraint == {"sync": 80.0, "clock.board_clk": 25.0}
    assert found.path_ns == 10.0
    assert found.path == ("core.pe_0.table", "core.pe_0.sum", "core.pe_0.total")
    assert found.met
    assert found.missed() == []
    found.require()


def test_a_clock_that_is_not_reached() -> None:
    found = timing(report(61.27), 80.0)
    assert not found.met
    (problem,) = found.missed()
    assert problem.startswith("the clock must be at most 61.3 MHz after routing, not 80: the path core.pe_0.table ")
    with pytest.raises(
        TimingError,
        match=r"^the clock must be at most 61\.3 MHz after routing, not 80: the path core\.pe_0\.table -> "
        r"core\.pe_0\.sum -> core\.pe_0\.total takes 10\.0 ns; another --seed may reach it; or ask for --clock 61, or "
        r"build with --allow-timing$",
    ):
        found.require()


def test_a_clock_that_the_board_cannot_make_is_not_advised() -> None:
    with pytest.raises(TimingError, match=r"10\.0 ns; another --seed may reach it; or build with --allow-timing$"):
        timing(report(14.2), 80.0).require(lambda mhz: mhz >= 16)


def test_another_clock_is_told_without_the_path_of_the_cores() -> None:
    found = Timing(fmax={"sync": 90.0, "usb": 59.0}, constraint={"sync": 80.0, "usb": 60.0}, path=("a",), path_ns=11.0)
    message = (
        "the clock usb must be at most 59.0 MHz after routing, not 60; another --seed may reach it; or build with "
    )
    with pytest.raises(TimingError, match=f"^{re.escape(message)}--allow-timing$"):
        found.require()


def test_other_clocks_may_have_the_same_frequency() -> None:
    given = report(100.0)
    others = [(f"$glbnet$clock.{name}_clk", 300.0) for name in ("board", "usb")]
    for name, achieved in (*others, ("$glbnet$core_clk", 100.0)):
        given["fmax"].pop(name, None)
        given["fmax"][name] = {"achieved": achieved, "constraint": 80.0}
    found = timing(given, 80.0)
    assert found.fmax == {"sync": 100.0, "clock.board_clk": 300.0, "clock.usb_clk": 300.0}
    assert found.path_ns == 10.0
