"""The emitted Verilog computes what Amaranth's own RTLIL computes: proven by Yosys' SAT solver, for every input."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Cat, Module, Mux, Signal, signed
from amaranth.lib import data, wiring
from amaranth.lib.wiring import In, Out

from zeroskip.fpga.tools import YOSYS, ToolError
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus.eie_map import eie_map
from zeroskip.rtl.bus.registers import Registers
from zeroskip.rtl.bus.windows import Windows
from zeroskip.rtl.eie.lookahead import LookAhead
from zeroskip.rtl.eie.requantise import Requantise
from zeroskip.rtl.emit import SharedModules, emit_rtlil
from zeroskip.rtl.mapping.merger import Merger
from zeroskip.rtl.mma.selector import Selector
from zeroskip.rtl.verilog import write
from zeroskip.rtl.verilog.emit import emit

CYCLES = 3
"""Cycles for which blocks of the cores are compared."""

PAIR = data.StructLayout({"low": 3, "high": signed(4)})


class Operators(wiring.Component):
    """Every operator, on numbers of different widths, with and without a sign."""

    def __init__(self) -> None:
        numbers = {"a": In(5), "b": In(3), "s": In(signed(5)), "t": In(signed(3))}
        super().__init__({**numbers, "pair": In(PAIR), "choice": In(1), "o": Out(260)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        a, b, s, t = self.a, self.b, self.s, self.t
        table = Signal(4)
        with m.Switch(self.a):
            with m.Case("1---1", "00---"):
                m.d.comb += table.eq(self.b)
            with m.Case(7, 9):
                m.d.comb += table.eq(12)
            with m.Default():
                with m.If(self.choice):
                    m.d.comb += table.eq(3)
        with m.If(self.b == 2):
            m.d.comb += table[1:3].eq(self.a[2:4])
        values = [
            a + b,
            a - b,
            s + t,
            s + a,
            a * b,
            s * t,
            -a,
            -s,
            (a + b)[:3],
            ~a & b,
            ~s | t,
            a ^ s,
            a << b,
            a >> b,
            s >> b,
            a // b,
            a % b,
            a < b,
            s < t,
            s <= t,
            s >= t,
            s > t,
            s == t,
            a != b,
            a.any(),
            a.all(),
            a.xor(),
            Mux(self.choice, a, b),
            Mux(s, t, a),
            a.bit_select(b, 2),
            a.word_select(b[:2], 2),
            (a > 31) | (b <= 7),
            self.pair.low + self.pair.high,
            table,
            s + 1 == t,
            (a + 1) >> 1,
            (~(a ^ 9)) * (~(b ^ 5)),
            (~s)[:4] * (~b)[:2],
            (s - 3) * (t + 1),
            Mux(self.choice, a, b) * b,
            (a - b) >> (~b)[:2],
            ((a + b)[:5] < ~a) & (-b == t),
            (a + b) // (b + 1)[:2],
            (s + t + a) * 3,
        ]
        m.d.comb += self.o.eq(Cat(values))
        assert len(Cat(values)) <= len(self.o)
        return m


class State(wiring.Component):
    """Registers with and without a reset, assigned in parts and under conditions."""

    def __init__(self) -> None:
        super().__init__({"i": In(4), "go": In(2), "o": Out(8), "n": Out(3, init=5)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kept = Signal(8, reset_less=True, init=0x5A)
        with m.Switch(self.go):
            with m.Case(0):
                m.d.sync += kept[:4].eq(self.i)
            with m.Case(1):
                m.d.sync += kept[4:].eq(self.i)
            with m.Case(2):
                m.d.sync += [kept.eq(kept + 1), self.n.eq(self.n - 1)]
        with m.If((self.i == 3) & self.go[0]):
            m.d.sync += self.n.eq(7)
        m.d.comb += self.o.eq(kept)
        return m


def prove(folder: Path, component: wiring.Component, *proof: str) -> str:
    """Runs the `proof` on a circuit that compares Amaranth's RTLIL of the component with our Verilog. Raises ToolError
    if an input tells one from the other."""
    (folder / "gold.il").write_text(emit_rtlil(component, "top", SharedModules()))
    emitted = emit(component, prefix="x")
    (folder / "gate.v").write_text("\n".join(emitted.modules.values()))
    script = [
        "read_rtlil gold.il; hierarchy -top top; proc; flatten; memory; opt_clean; rename top gold; design -stash one",
        f"read_verilog gate.v; hierarchy -top {emitted.top}; proc; flatten; memory; opt_clean",
        f"rename {emitted.top} gate",
        "design -stash other; design -copy-from one gold; design -copy-from other gate",
        "miter -equiv -flatten -make_assert -make_outputs gold gate miter; hierarchy -top miter",
        "opt -full -nodffe -nosdff",
        *proof,
    ]
    return YOSYS.run(["-p", "; ".join(script)], folder=folder)


def test_operators(tmp_path: Path) -> None:
    """Proven for all values of the inputs."""
    log = prove(tmp_path, Operators(), "sat -verify -prove-asserts -show-ports miter")
    assert "SAT proof finished - no model found: SUCCESS!" in log


def test_registers(tmp_path: Path) -> None:
    """Proven from the start on, for all inputs of eight cycles, and by induction for every later one."""
    log = prove(tmp_path, State(), "sat -verify -prove-asserts -tempinduct miter")
    assert "SUCCESS!" in log


def test_a_fault_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The proof of the operators fails where one of them is written wrongly."""
    monkeypatch.setitem(write._COMPARED, "$le", "<")
    with pytest.raises(ToolError, match="yosys failed"):
        prove(tmp_path, Operators(), "sat -verify -prove-asserts miter")


@pytest.mark.parametrize(
    "make",
    [
        lambda: Requantise(EieGeometry(pes=2, accumulator_bits=20)),
        lambda: LookAhead(EieGeometry(pes=2, entries_per_word=2)),
        lambda: Selector(TileGeometry()),
        lambda: Merger(MapperGeometry(width=2, coordinate_bits=4, reach=4, batch_bits=1, index_bits=2)),
        lambda: Windows(eie_map(EieGeometry(pes=2, entry_words=8, pointers=6, activation_rows=32), 32)),
        lambda: Registers(eie_map(EieGeometry(pes=2, entry_words=8, pointers=6, activation_rows=32), 32)),
    ],
    ids=["Requantise", "LookAhead", "Selector", "Merger", "Windows", "Registers"],
)
def test_blocks(make: Callable[[], wiring.Component], tmp_path: Path) -> None:
    """Blocks of the cores, for all inputs of the first cycles."""
    log = prove(tmp_path, make(), f"sat -verify -prove-asserts -seq {CYCLES} miter")
    assert "SUCCESS!" in log


class SignedPart(wiring.Component):
    def __init__(self) -> None:
        super().__init__({"s": In(signed(5)), "at": In(3), "o": Out(3)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.o.eq(self.s.bit_select(self.at, 3))
        return m


def test_what_has_no_one_meaning_is_refused() -> None:
    with pytest.raises(ValueError, match="a part of a signed number"):
        emit(SignedPart(), prefix="x")
