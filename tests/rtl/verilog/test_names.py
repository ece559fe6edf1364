"""Signals keep the names of the source, as far as Verilog can have them."""

from __future__ import annotations

import re
from typing import Any

from amaranth.hdl import Module, Signal
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.verilog.emit import emit
from zeroskip.rtl.verilog.names import Names, plain, snake


class Inner(wiring.Component):
    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__({"i": In(width), "o": Out(width)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.o.eq(~self.i)
        return m


class Outer(wiring.Component):
    """A component with names of all kinds. More text."""

    def __init__(self) -> None:
        fields = data.StructLayout({"low": 4, "high": 4})
        super().__init__({"begin": In(fields), "table": Out(4), "wide": Out(8)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        first, second, third = Signal(4), Signal(4), Signal(4)
        stages = [Signal(4) for _ in range(2)]
        m.submodules.left = left = Inner(4)
        m.submodules.right = right = Inner(4)
        m.submodules.broad = broad = Inner(8)
        m.d.sync += [
            first.eq(self.begin.low),
            second.eq(first),
            third.eq(second),
            stages[0].eq(third),
            stages[1].eq(stages[0]),
        ]
        m.d.comb += [left.i.eq(stages[1]), right.i.eq(left.o), self.table.eq(right.o), broad.i.eq(self.begin)]
        m.d.comb += self.wide.eq(broad.o)
        return m


def test_names_of_a_design() -> None:
    """Registers, fields and ports by name, of which keywords get an underscore; equal components share a module."""
    emitted = emit(Outer(), prefix="x")
    assert emitted.top == "x_outer"
    assert emitted.summaries["x_outer"] == "A component with names of all kinds."
    assert sorted(emitted.modules) == ["x_inner", "x_inner_2", "x_outer"]
    assert [port[0] for port in emitted.ports] == ["clk", "rst", "begin_", "table_", "wide"]
    text = emitted.modules["x_outer"]
    registers = re.findall(r"^    reg \[3:0\] (\w+);$", text, re.M)
    assert sorted(registers) == ["first", "second", "stages_0", "stages_1", "third"]
    assert "wire [3:0] begin_low = begin_[3:0];" in text
    assert re.search(r"x_inner(_2)? left \(\n        \.i\(stages_1\),\n        \.o\((left_o|right_i)\)\n    \);", text)


def test_identifiers() -> None:
    found = {name: plain(name) for name in ("\\a.b[0]", "\\load__payload$21", "\\begin", "\\U$0", "\\0")}
    assert found == {
        "\\a.b[0]": "a_b_0",
        "\\load__payload$21": "load__payload",
        "\\begin": "begin_",
        "\\U$0": "U",
        "\\0": "n0",
    }
    assert [snake(name) for name in ("LookAhead", "Lnzd", "FIFOQueue")] == ["look_ahead", "lnzd", "fifo_queue"]
    names = Names()
    assert [names.take("a") for _ in range(3)] == ["a", "a_2", "a_3"]
