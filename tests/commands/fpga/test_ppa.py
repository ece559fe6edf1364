# amaranth: UnusedElaboratable=no
"""`zeroskip fpga ppa`: figures of small blocks, and one clear error for what is wrong, before any tool runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from support.cells import FIVE, FLIP_FLOP, INVERTER, NAND

from zeroskip.api.fpga.ppa import WITHOUT_SRAM
from zeroskip.fpga.blocks.named import BLOCKS
from zeroskip.fpga.ppa.timing import MISSING
from zeroskip.fpga.tools import Tool
from zeroskip.rtl.sram import Sram

Command = Callable[..., tuple[int, str, str]]


class Lookahead(wiring.Component):
    """Four flip-flops behind NANDs."""

    def __init__(self) -> None:
        super().__init__({"a": In(4), "y": Out(4)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        kept = Signal(4, reset_less=True)
        m.d.sync += kept.eq(~(self.a & self.a.rotate_left(1)))
        m.d.comb += self.y.eq(kept)
        return m


class Spmat(wiring.Component):
    """A memory of eight words of four bits."""

    def __init__(self) -> None:
        super().__init__({"a": In(4), "y": Out(4)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.words = words = Sram(depth=8, width=4)
        m.d.comb += [words.write.en.eq(1), words.write.data.eq(self.a), words.read.en.eq(1)]
        m.d.comb += self.y.eq(words.read.data)
        return m


class Whole(wiring.Component):
    """Both, with inverters between them."""

    def __init__(self) -> None:
        super().__init__({"a": In(4), "y": Out(4)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.submodules.spmat = spmat = Spmat()
        m.submodules.lookahead = lookahead = Lookahead()
        m.d.comb += [spmat.a.eq(self.a), lookahead.a.eq(~spmat.y), self.y.eq(lookahead.y)]
        return m


class Made:
    """In place of a block of the table."""

    def __init__(self, component: type[wiring.Component]) -> None:
        self.make = component


@pytest.fixture
def small(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library, tables of SRAM macros, and a small PE. OpenSTA is not there."""
    monkeypatch.setenv("ZEROSKIP_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("zeroskip.fpga.ppa.timing.STA", "no-such-sta")
    for name, component in {"pe": Whole, "spmat": Spmat, "lookahead": Lookahead}.items():
        monkeypatch.setitem(BLOCKS, f"eie.{name}", Made(component))
    (tmp_path / "cells.lib").write_text(FIVE)
    (tmp_path / "good.json").write_text('[{"depth": 8, "width": 4, "area": 100, "access_ns": 1.5}]')
    (tmp_path / "other.json").write_text('[{"depth": 8, "width": 5, "area": 100, "access_ns": 1.5}]')


NANDS = 4 * (NAND + FLIP_FLOP)
INVERTERS = 4 * INVERTER


def ppa(zs: Command, *options: str) -> tuple[dict[str, Any], str]:
    code, out, err = zs("fpga", "ppa", "--liberty", "cells.lib", *options, "--json")
    assert code == 0, err
    found: dict[str, Any] = json.loads(out)
    return found, err


@pytest.mark.usefixtures("small")
def test_areas_and_shares_with_memories(zs: Command) -> None:
    """Of made-up areas, which add up by hand. Nothing but Yosys is needed."""
    found, err = ppa(zs, "--block", "eie.pe", "--block", "eie.spmat", "--sram", "good.json")
    whole = NANDS + INVERTERS + 100
    assert found["blocks"] == [
        {
            "name": "eie.pe",
            "area": NANDS + INVERTERS,
            "sequential_area": 4 * FLIP_FLOP,
            "sram_area": 100,
            "share": 1,
            "critical_path_ns": None,
            "path": None,
            "srams": [{"depth": 8, "width": 4, "count": 1}],
        },
        {
            "name": "eie.spmat",
            "area": 0,
            "sequential_area": 0,
            "sram_area": 100,
            "share": 100 / whole,
            "critical_path_ns": None,
            "path": None,
            "srams": [{"depth": 8, "width": 4, "count": 1}],
        },
    ]
    shares = {row["unit"]: row["share"] for row in found["paper"]}
    assert shares["SpmatRead"] == pytest.approx((NANDS + 100) / whole)
    assert shares[None] == pytest.approx(INVERTERS / whole)
    assert (shares["Act_queue"], shares["filler cell"]) == (0, None)
    assert (found["library"], found["sram"], found["sta"], found["warnings"]) == (
        "made_up",
        "good.json",
        None,
        [MISSING],
    )
    assert MISSING in err


@pytest.mark.usefixtures("small")
def test_without_a_table_memories_count_nothing(zs: Command) -> None:
    found, err = ppa(zs, "--block", "eie.pe", "--block", "eie.lookahead")
    shares = {block["name"]: (block["sram_area"], block["share"]) for block in found["blocks"]}
    assert shares == {"eie.pe": (None, 1), "eie.lookahead": (None, NANDS / (NANDS + INVERTERS))}
    assert found["warnings"] == [WITHOUT_SRAM, MISSING]
    assert WITHOUT_SRAM in err


@pytest.mark.usefixtures("small")
def test_without_the_pe_there_are_no_shares(zs: Command) -> None:
    found, _ = ppa(zs, "--block", "eie.lookahead")
    assert (found["blocks"][0]["share"], found["paper"]) == (None, [])
    assert found["warnings"] == [MISSING]


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize(
    ("options", "error"),
    [
        (["--liberty", "data.npz"], "data.npz must be a Liberty file, which begins with library (NAME) {"),
        (["--liberty", "no.lib"], "no.lib must be a Liberty file of standard cells, and there is no such file"),
        (["--liberty", "cells.lib", "--block", "pe"], f"block must be among {', '.join(BLOCKS)}, not 'pe'"),
        (
            ["--liberty", "cells.lib", "--sram", "cells.lib"],
            "cells.lib must be a JSON table of SRAM macros: Expecting value: line 1 column 1 (char 0)",
        ),
        (
            ["--liberty", "cells.lib", "--block", "eie.pe", "--sram", "other.json"],
            "other.json must have an SRAM macro for every memory of the blocks, and lacks 8 words of 4 bits",
        ),
    ],
)
def test_what_is_wrong_is_told_before_any_work(
    zs: Command, monkeypatch: pytest.MonkeyPatch, options: list[str], error: str
) -> None:
    monkeypatch.setattr(Tool, "run", lambda *_, **__: pytest.fail("a tool ran"))
    code, out, err = zs("fpga", "ppa", *options)
    assert (code, out, err) == (1, "", f"error: {error}\n")


@pytest.mark.usefixtures("small")
def test_tables_for_people(zs: Command) -> None:
    code, out, _ = zs("fpga", "ppa", "--liberty", "cells.lib", "--block", "eie.pe", "--sram", "good.json")
    assert code == 0
    assert f"eie.pe │   {NANDS + INVERTERS:.0f} │" in out
    assert "SpmatRead" in out
