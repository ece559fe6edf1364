"""Every block alone on a small FPGA: how it is wrapped, what its limits say, and whether it keeps them."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from amaranth.back import rtlil
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from amaranth.sim import Simulator

from zeroskip.api.fpga.blocks import blocks
from zeroskip.fpga.blocks import limits as limits_
from zeroskip.fpga.blocks import measure as measure_
from zeroskip.fpga.blocks.limits import broken, limits, set_limits
from zeroskip.fpga.blocks.measure import Measured
from zeroskip.fpga.blocks.named import BLOCKS
from zeroskip.fpga.blocks.ports import BehindPins
from zeroskip.model.files import save_json
from zeroskip.model.sources import PACKAGE

Command = Callable[..., tuple[int, str, str]]


class Sum(wiring.Component):
    def __init__(self) -> None:
        super().__init__({"a": In(4), "b": In(3), "sum": Out(5)})

    def elaborate(self, platform: object) -> Module:
        m = Module()
        m.d.comb += self.sum.eq(self.a + self.b)
        return m


def test_all_ports_are_behind_the_two_pins() -> None:
    """Bits shifted in reach the inputs, the first ones the last input."""
    inner = Sum()
    wrapped = BehindPins(inner)
    seen: list[tuple[int, int]] = []

    async def bench(ctx: object) -> None:
        for bit in (1, 0, 1, 1, 0, 0, 1):  # b = 101, then a = 1001
            ctx.set(wrapped.si, bit)  # type: ignore[attr-defined]
            await ctx.tick()  # type: ignore[attr-defined]
        ctx.set(wrapped.si, 0)  # type: ignore[attr-defined]
        await ctx.tick()  # type: ignore[attr-defined]
        seen.append((ctx.get(inner.b), ctx.get(inner.a)))  # type: ignore[attr-defined]

    simulator = Simulator(wrapped)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert seen == [(0b101, 0b1001)]


def test_what_leaves_is_added_modulo_2() -> None:
    """A single one that is shifted in: a is 1, 2, 4, 8, then b is 1, 2, 4. Bit k of the sum leaves k cycles after bit 0
    would: those of 2 ** k are seen at 2 k for a, and at 4 + 2 k for b, so that two pairs cancel. Four cycles pass
    before: those of the shift register, the inputs, the outputs, and what leaves."""
    wrapped = BehindPins(Sum())
    ones: list[int] = []

    async def bench(ctx: object) -> None:
        for cycle in range(20):
            ctx.set(wrapped.si, cycle == 0)  # type: ignore[attr-defined]
            if ctx.get(wrapped.so):  # type: ignore[attr-defined]
                ones.append(cycle - 4)
            await ctx.tick()  # type: ignore[attr-defined]

    simulator = Simulator(wrapped)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    assert ones == [0, 2, 8]


@pytest.mark.parametrize("name", BLOCKS)
def test_a_block_is_there(name: str) -> None:
    """It is made in its size, and has logic from port to port."""
    text = rtlil.convert(BehindPins(BLOCKS[name].make()), name="top", emit_src=False)
    assert "module \\top.component" in text


def test_limits_are_those_of_blocks() -> None:
    assert set(limits()) == set(BLOCKS)


def measured(mhz: float, lut: int) -> Measured:
    return Measured(mhz=mhz, lut=lut, ff=10, ram=0, dsp=0, path=("component.a", "component.b"), path_ns=9.5)


def test_what_breaks_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "limits.json"
    file.write_text(json.dumps({"eie.pe": {"mhz": 90, "lut": 1500}}))
    monkeypatch.setattr(limits_, "FILE", file)
    limit = limits()["eie.pe"]
    assert broken("eie.pe", measured(90.0, 1500), limit) == []
    assert broken("eie.queue", measured(1.0, 9999), limits().get("eie.queue")) == [], "it has no limits"
    assert broken("eie.pe", measured(89.9, 1501), limit) == [
        "eie.pe must reach 90 MHz, not 89.9: component.a -> component.b takes 9.5 ns",
        "eie.pe must take at most 1,500 look-up tables, not 1,501",
    ]
    set_limits({"eie.queue": measured(200.0, 100)})
    assert json.loads(file.read_text()) == {"eie.pe": {"mhz": 90, "lut": 1500}, "eie.queue": {"mhz": 180, "lut": 109}}
    # The room for a clock ends at the goal, 100 MHz; a block that misses it has its own figure as its floor.
    set_limits({"eie.queue": measured(104.9, 100), "eie.pe": measured(88.9, 1400)})
    assert {name: one["mhz"] for name, one in json.loads(file.read_text()).items()} == {"eie.pe": 88, "eie.queue": 100}


@pytest.mark.parametrize(
    "damaged", ['{"eie.pe": {"mhz": 90', '{"eie.pe": {"lut": 9}}', "[]", '{"a": {"mhz": "9", "lut": 1}}']
)
def test_damaged_limits_are_an_error_before_any_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: str
) -> None:
    file = tmp_path / "limits.json"
    file.write_text(damaged)
    monkeypatch.setattr(limits_, "FILE", file)
    monkeypatch.setattr(measure_, "measure", lambda *_: pytest.fail("a block was measured"))
    with pytest.raises(ValueError, match=f"^{file} must "):
        blocks(["eie.pe"])


def test_figures_are_those_of_the_code_that_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another version of it, a block is measured again; with the same one, it is not."""
    runs: list[str] = []

    def figures(folder: Path, text: str, announce: object) -> None:
        runs.append(text)
        save_json(folder / measure_.FIGURES, dataclasses.asdict(measured(100.0 + len(runs), 5)))

    monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path))
    monkeypatch.setattr(measure_, "_measure_in", figures)
    assert [measure_.measure(Sum()).mhz for _ in range(2)] == [101.0, 101.0]
    measuring = PACKAGE / "fpga/blocks/measure.py"
    monkeypatch.setattr(measure_, "files_hash", lambda files: str(measuring in files))
    assert measure_.measure(Sum()) == measured(102.0, 5)


WATCHED = (
    "eie.pointers",
    "eie.spmat",
    "eie.lookahead",
    "eie.arithmetic",
    "eie.files",
    "mapping.least_entry",
    "link.encoder",
    "link.seal",
    "eie.pe",
)
"""Blocks that take less than ten seconds each, and a PE, which takes half a minute, unless they come from the cache."""


def test_watched_blocks_keep_their_limits(zs: Command) -> None:
    """Every run of the tests watches these; the slow tests watch all."""
    code, out, err = zs("fpga", "blocks", *WATCHED, "--json")
    assert code == 0, json.loads(out)["broken"] if out else err
    assert [one["name"] for one in json.loads(out)["blocks"]] == list(WATCHED)


@pytest.mark.slow
def test_every_block_keeps_its_limits(zs: Command) -> None:
    code, out, err = zs("fpga", "blocks", "--json")
    assert code == 0, json.loads(out)["broken"] if out else err
    result = json.loads(out)
    assert [one["name"] for one in result["blocks"]] == list(BLOCKS)


def test_an_unknown_block(zs: Command) -> None:
    code, _, err = zs("fpga", "blocks", "eie.nothing")
    assert code == 1
    assert err.startswith("error: blocks must be among eie.control, ")
    assert err.endswith("not 'eie.nothing'\n")
