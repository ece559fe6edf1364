# amaranth: UnusedElaboratable=no
"""Costs of components on an FPGA, where they are known beforehand."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.fpga.synthesis import synthesise
from zeroskip.fpga.tools import ToolError
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.hierarchy import emit_once
from zeroskip.rtl.mma.selector import Selector
from zeroskip.rtl.sram import Sram


class Exclusive(wiring.Component):
    """Eight exclusive ors of two bits, in registers: eight look-up tables."""

    def __init__(self) -> None:
        super().__init__({"a": In(8), "b": In(8), "x": Out(8)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.sync += self.x.eq(self.a ^ self.b)
        return m


class Three(wiring.Component):
    def __init__(self) -> None:
        super().__init__({"a": In(8), "b": In(8), "x": Out(8), "y": Out(8), "z": Out(8)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for name in ("x", "y", "z"):
            part = Exclusive()
            m.submodules[name] = emit_once(part, platform, parameters=None)
            m.d.comb += [part.a.eq(self.a), part.b.eq(self.b), getattr(self, name).eq(part.x)]
        return m


def test_what_stands_in_a_design_three_times_counts_three_times() -> None:
    one, three = synthesise(Exclusive()), synthesise(Three())
    assert (one.luts, one.cells["TRELLIS_FF"], one.multipliers) == (8, 8, 0)
    assert (three.luts, three.cells["TRELLIS_FF"]) == (24, 24)


def test_a_choice_of_four_takes_two_tables_a_bit() -> None:
    """What keeps the sparse tile small."""
    geometry = TileGeometry()
    assert synthesise(Selector(geometry)).luts == 2 * geometry.k * geometry.operand.operand_bits


def test_failure_shows_the_log(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zeroskip.fpga.synthesis.emit_rtlil", lambda *_: "module \\broken")
    with pytest.raises(ToolError, match=r"^yosys failed: ERROR: .*\n(.|\n)*\nERROR: "):
        synthesise(Exclusive())


@pytest.mark.parametrize(("depth", "width", "blocks"), [(512, 64, 2), (1024, 17, 1), (2048, 32, 4)])
def test_a_memory_is_block_ram_and_nothing_else(depth: int, width: int, blocks: int) -> None:
    """A block holds 18 kbit, in words of at most 36 bits."""
    assert synthesise(Sram(depth=depth, width=width)).cells == {"DP16KD": blocks}
