# amaranth: UnusedElaboratable=no
"""Critical paths that are known beforehand, where OpenSTA is installed."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from support.cells import CLOCK_TO_Q_NS, FIVE, NAND_NS, SETUP_NS, in_picoseconds

from zeroskip.fpga.ppa.liberty import Liberty, read_liberty
from zeroskip.fpga.ppa.mapped import map_to_cells, unmapped
from zeroskip.fpga.ppa.sram import Macro
from zeroskip.fpga.ppa.timing import CriticalPath, critical_path, sta_version
from zeroskip.fpga.tools import ToolError
from zeroskip.rtl.sram import Sram

pytestmark = pytest.mark.skipif(shutil.which("sta") is None, reason="OpenSTA is not installed")

ACCESS_NS = 2.0


@pytest.fixture(params=[FIVE, in_picoseconds()], ids=["ns", "ps"])
def cells(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Liberty:
    """A library in each unit of time; that of the macros has always its own."""
    monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cells.lib").write_text(request.param)
    return read_liberty(tmp_path / "cells.lib")


class Stage(wiring.Component):
    """A register, or a memory, then a NAND, then a register."""

    def __init__(self, *, memory: bool) -> None:
        self.memory = memory
        super().__init__({"a": In(1), "b": In(1), "y": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        first = Signal(reset_less=True)
        second = Signal(reset_less=True)
        if self.memory:
            m.submodules.words = words = Sram(depth=2, width=1)
            m.d.comb += [words.write.en.eq(1), words.write.data.eq(self.a), words.read.en.eq(1)]
            m.d.comb += first.eq(words.read.data)
        else:
            m.d.sync += first.eq(self.a)
        m.d.sync += second.eq(~(first & self.b))
        m.d.comb += self.y.eq(second)
        return m


class Gate(wiring.Component):
    """No clock."""

    def __init__(self) -> None:
        super().__init__({"a": In(1), "b": In(1), "y": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.y.eq(~(self.a & self.b))
        return m


def timed(component: wiring.Component, liberty: Liberty) -> CriticalPath | None:
    design, version = unmapped(component), sta_version()
    assert version is not None
    macros = [Macro(depth=depth, width=width, area=0, access_ns=ACCESS_NS) for depth, width in design.sizes]
    return critical_path(map_to_cells(design, liberty).netlist, liberty, macros, version=version)


def test_from_register_to_register(cells: Liberty) -> None:
    found = timed(Stage(memory=False), cells)
    assert found == CriticalPath(ns=pytest.approx(CLOCK_TO_Q_NS + NAND_NS + SETUP_NS), start="first", end="y")


def test_from_a_memory(cells: Liberty) -> None:
    found = timed(Stage(memory=True), cells)
    assert found == CriticalPath(ns=pytest.approx(ACCESS_NS + NAND_NS + SETUP_NS), start="words.sram", end="y")


def test_from_port_to_port(cells: Liberty) -> None:
    found = timed(Gate(), cells)
    assert found is not None
    assert found.ns == pytest.approx(NAND_NS)
    assert (found.start, found.end) in {("a", "y"), ("b", "y")}


def test_no_path(cells: Liberty) -> None:
    class Nothing(wiring.Component):
        def __init__(self) -> None:
            super().__init__({"y": Out(1)})

        def elaborate(self, platform: Any) -> Module:
            return Module()

    assert timed(Nothing(), cells) is None


def test_an_unknown_cell_is_an_error(cells: Liberty, tmp_path: Path) -> None:
    """OpenSTA itself would take it for a black box, and its paths for none."""
    (tmp_path / "netlist.v").write_text(
        "module top(a, y);\n  input a;\n  output y;\n  GATE g (.A(a), .Y(y));\nendmodule\n"
    )
    version = sta_version()
    assert version is not None
    with pytest.raises(ToolError, match=r"^OpenSTA failed:\n(.|\n)*GATE"):
        critical_path(tmp_path / "netlist.v", cells, [], version=version)
