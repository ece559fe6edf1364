"""Block RAMs in the netlist of a Gowin, and what its board is."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.fpga.bitstream import gowin
from zeroskip.fpga.bitstream.cells import counted
from zeroskip.fpga.bitstream.design import design
from zeroskip.fpga.boards.named import BOARDS
from zeroskip.fpga.boards.top import BoardTop


def netlist() -> str:
    """Two block RAMs, one with ninth bits, and another cell; row 1 of the first ends in 5, and has its highest bit."""
    wide = {"INIT_RAM_01": "1" + "0" * 284 + "101", "BIT_WIDTH_0": "10010"}
    narrow = {"INIT_RAM_3F": "x" + "0" * 254 + "1"}
    cells = {
        "a": {"type": "DP", "parameters": wide, "attributes": {"BSRAM_SUBTYPE": "X9"}},
        "b": {"type": "SDP", "parameters": narrow, "attributes": {"BSRAM_SUBTYPE": ""}},
        "c": {"type": "LUT4", "parameters": {"INIT": "1010"}, "attributes": {}},
    }
    return json.dumps({"modules": {"box": {"cells": {}}, "top": {"attributes": {"top": "1"}, "cells": cells}}})


def ones(bits: Any) -> list[tuple[int, int]]:
    return [(int(row), int(bit)) for row, bit in np.argwhere(bits.reshape(64, 288))]


def test_contents_are_read() -> None:
    """An undefined bit is 0; a row that is not there holds zeros."""
    found = gowin.sections(netlist())
    assert {name: ones(bits) for name, bits in found.items()} == {"a": [(1, 0), (1, 2), (1, 287)], "b": [(63, 0)]}


def test_contents_are_replaced() -> None:
    """Nothing else changes, and rows keep their width."""
    bits = np.random.default_rng(0).integers(0, 2, (64, 288), np.uint8)
    bits[:, 256:] = 0
    written = json.loads(gowin.replaced(netlist(), {"b": bits.reshape(-1)}))
    before = json.loads(netlist())
    cells = written["modules"]["top"]["cells"]
    assert cells["a"] == before["modules"]["top"]["cells"]["a"]
    assert {len(text) for text in cells["b"]["parameters"].values()} == {256}
    assert int(cells["b"]["parameters"]["INIT_RAM_05"], 2) == sum(int(bit) << at for at, bit in enumerate(bits[5]))
    assert np.array_equal(gowin.sections(json.dumps(written))["b"], bits.reshape(-1))
    bits[3, 256] = 1
    with pytest.raises(ValueError, match="a row of b must have 256 bits, not more"):
        gowin.replaced(netlist(), {"b": bits.reshape(-1)})


class Wire(wiring.Component):
    """What comes in goes out."""

    def __init__(self) -> None:
        super().__init__({"rx": In(1), "tx": Out(1)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.tx.eq(self.rx)
        return m


def test_the_board() -> None:
    """Pins of the crystal and of the BL616; the PLL where another clock than the board's is asked for."""
    board = BOARDS["tangnano20k"]
    made = design(board, BoardTop(board, 27, Wire()))
    pins = [line.split() for line in made.constraints.splitlines() if line.startswith("IO_LOC")]
    assert {name.strip('"'): pin for _, name, pin in pins} == {
        "clk27_0__io": "4;",
        "uart_0__rx__io": "70;",
        "uart_0__tx__io": "69;",
    }
    assert "rPLL" not in made.rtlil
    fast = design(board, BoardTop(board, 54, Wire())).rtlil
    for parameter in ('\\FCLKIN "27"', "\\IDIV_SEL 0", "\\FBDIV_SEL 1", "\\ODIV_SEL 16"):
        assert f"parameter {parameter}" in fast or f"parameter signed {parameter}" in fast, parameter


def test_places_are_counted() -> None:
    """A carry cell takes a look-up table, a small memory four; a large product four multipliers."""
    used = {"LUT4": 100, "ALU": 20, "RAM16SDP4": 3, "BSRAM": 5, "MULT18X18": 2, "MULT36X36": 1, "DFF": 1}
    report = {"utilization": {kind: {"used": count, "available": 999} for kind, count in used.items()}}
    found = counted(report, {"DFFRE": 7, "DFFE": 2, "LUT3": 9}, "gowin")
    assert found == {"lut": 132, "ff": 9, "ram": 5, "dsp": 6, "spram": 0}
