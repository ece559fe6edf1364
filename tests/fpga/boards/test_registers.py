"""Registers that Yosys must not merge."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from amaranth.back import rtlil
from amaranth.hdl import ClockDomain, Module, Signal

from zeroskip.fpga.boards.registers import OwnFlipFlops
from zeroskip.fpga.tools import YOSYS
from zeroskip.rtl.own_register import OwnRegister


def registers(platform: Any, folder: Path, *, resets: bool) -> list[dict[str, Any]]:
    """The flip-flops of three equal registers of two bits, each with an output of its own, after synthesis."""
    m = Module()
    m.domains.sync = domain = ClockDomain()
    value = Signal(2, name="value")
    outputs = [Signal(2, name=f"o{index}") for index in range(3)]
    for index, output in enumerate(outputs):
        m.submodules[f"register_{index}"] = register = OwnRegister(2, resets=resets)
        m.d.comb += [register.i.eq(value), output.eq(register.o)]
    ports = [value, *outputs, domain.clk, domain.rst]
    (folder / "top.il").write_text(rtlil.convert(m, name="top", platform=platform, ports=ports, emit_src=False))
    YOSYS.run(["-q", "-p", "read_rtlil top.il; synth_ecp5 -top top; write_json top.json"], folder=folder)
    module = json.loads((folder / "top.json").read_text())["modules"]["top"]
    cells = [cell for cell in module["cells"].values() if cell["type"] == "TRELLIS_FF"]
    rst = module["ports"]["rst"]["bits"]
    return [cell | {"is_reset": cell["connections"]["LSR"] == rst} for cell in cells]


@pytest.mark.parametrize("resets", [False, True])
def test_equal_registers_stay(resets: bool, tmp_path: Path) -> None:
    """Without the platform Yosys merges them: then the test would show nothing."""
    merged = registers(None, tmp_path, resets=resets)
    kept = registers(OwnFlipFlops(), tmp_path, resets=resets)
    assert (len(merged), len(kept)) == (2, 6)
    assert {cell["is_reset"] for cell in merged + kept} == {resets}
    assert {cell["parameters"]["REGSET"] for cell in kept} == {"RESET"}
    assert {cell["parameters"].get("SRMODE") for cell in kept} == {cell["parameters"].get("SRMODE") for cell in merged}
