# amaranth: UnusedElaboratable=no
"""Areas that are known beforehand."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from support.cells import CLOCK_GATE, FIVE, FLIP_FLOP, INVERTER, NAND, with_clock_gates

from zeroskip.fpga.ppa.liberty import Liberty, read_liberty
from zeroskip.fpga.ppa.mapped import map_to_cells, unmapped
from zeroskip.fpga.ppa.sram import Macro
from zeroskip.fpga.tools import ToolError
from zeroskip.rtl.sram import Sram


@pytest.fixture
def cells(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Liberty:
    monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cells.lib").write_text(FIVE)
    return read_liberty(tmp_path / "cells.lib")


class Nands(wiring.Component):
    """Eight NANDs of two bits, in registers without reset."""

    def __init__(self) -> None:
        super().__init__({"a": In(8), "b": In(8), "y": Out(8)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kept = Signal(8, reset_less=True)
        m.d.sync += kept.eq(~(self.a & self.b))
        m.d.comb += self.y.eq(kept)
        return m


class Whole(wiring.Component):
    """Two units, one of them with a memory, and inverters between them."""

    def __init__(self) -> None:
        super().__init__({"a": In(8), "b": In(8), "y": Out(8)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.nands = nands = Nands()
        m.submodules.store = store = Store()
        m.d.comb += [nands.a.eq(self.a), nands.b.eq(~self.b), store.a.eq(nands.y), self.y.eq(store.y)]
        return m


class Store(wiring.Component):
    """Four words of eight bits; all the same word is written and read."""

    def __init__(self) -> None:
        super().__init__({"a": In(8), "y": Out(8)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.memory = memory = Sram(depth=4, width=8)
        m.d.comb += [memory.write.en.eq(1), memory.write.data.eq(self.a), memory.read.en.eq(1)]
        m.d.comb += self.y.eq(memory.read.data)
        return m


def test_areas_are_those_of_the_cells(cells: Liberty) -> None:
    area = map_to_cells(unmapped(Nands()), cells).area
    assert (area.cells, area.sequential) == (8 * NAND + 8 * FLIP_FLOP, 8 * FLIP_FLOP)


def test_units_and_memories_are_counted_apart(cells: Liberty) -> None:
    """The inverters are the whole's own. The macro is a black box, and the table says how large it is."""
    mapped = map_to_cells(unmapped(Whole(), keep_units=True), cells)
    assert {unit: area.cells for unit, area in mapped.units.items()} == {"nands": 8 * (NAND + FLIP_FLOP), "store": 0}
    assert mapped.area.cells == 8 * (NAND + FLIP_FLOP + INVERTER)
    assert mapped.area.memories == mapped.units["store"].memories == Counter({(4, 8): 1})
    assert mapped.area.of_memories({(4, 8): Macro(depth=4, width=8, area=70.5, access_ns=1)}) == 70.5


def test_flattened_areas_are_those_of_the_netlist(cells: Liberty) -> None:
    mapped = map_to_cells(unmapped(Whole()), cells)
    used = Counter(re.findall(r"^  (INV|NAND|DFF) ", mapped.netlist.read_text(), re.M))
    assert mapped.area.cells == sum(cells.areas[cell] * count for cell, count in used.items())
    assert used["DFF"] == 8
    assert not mapped.units


def test_the_same_design_comes_from_the_cache(cells: Liberty, monkeypatch: pytest.MonkeyPatch) -> None:
    first = map_to_cells(unmapped(Nands()), cells)
    monkeypatch.setattr("zeroskip.fpga.tools.Tool.run", lambda *_, **__: pytest.fail("yosys ran"))
    assert map_to_cells(unmapped(Nands()), cells) == first


def test_a_cell_without_an_area_is_not_counted_as_nothing(cells: Liberty, tmp_path: Path) -> None:
    (tmp_path / "less.lib").write_text(FIVE.replace(f"area : {NAND}; ", ""))
    with pytest.raises(ToolError, match=r"^yosys used NAND, for which the library made_up has no area$"):
        map_to_cells(unmapped(Nands()), read_liberty(tmp_path / "less.lib"))


class Keeping(wiring.Component):
    """Eight bits in a register with an enable, and two in another."""

    def __init__(self) -> None:
        super().__init__({"en": In(1), "a": In(8), "y": Out(8), "few": In(1), "b": In(2), "z": Out(2)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kept, pair = Signal(8, reset_less=True), Signal(2, reset_less=True)
        with m.If(self.en):
            m.d.sync += kept.eq(self.a)
        with m.If(self.few):
            m.d.sync += pair.eq(self.b)
        m.d.comb += [self.y.eq(kept), self.z.eq(pair)]
        return m


def test_registers_with_one_enable_share_a_gate_of_their_clock(cells: Liberty, tmp_path: Path) -> None:
    """Two bits are too few: they keep their multiplexers of three NANDs and one inverter, which they share."""
    (tmp_path / "gates.lib").write_text(with_clock_gates(CLOCK_GATE))
    gated = map_to_cells(unmapped(Keeping()), read_liberty(tmp_path / "gates.lib"))
    assert gated.area.cells == 10 * FLIP_FLOP + CLOCK_GATE + 6 * NAND + INVERTER
    plain = map_to_cells(unmapped(Keeping()), cells)
    assert plain.area.cells > gated.area.cells + 7 * 2 * NAND
