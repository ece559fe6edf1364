"""Verilog of an Amaranth component for the simulators."""

from __future__ import annotations

import re
from collections.abc import Sequence

from amaranth.back import verilog
from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring

from zeroskip.rtl.emit import SharedModules, emit_rtlil, sram_instance
from zeroskip.rtl.sram import Sram

SHARED = "/*verilator no_inline_module*/"
"""Marks a module of which a design holds many instances."""


class SimulationPlatform(SharedModules):
    """Makes every Sram an instance of the model in sram.v, so that its size costs nothing to emit or to build."""

    def get_sram(self, sram: Sram) -> Elaboratable:
        m = Module()
        m.submodules.model = sram_instance(sram)
        return m


def emit_verilog(component: wiring.Component, name: str) -> str:
    """Verilog of `component` as module `name`, for sources that hold sram.v."""
    platform = SimulationPlatform()
    # verilog.convert() accepts only one component.
    source = verilog._convert_rtlil_text(emit_rtlil(component, name, platform))
    # If Verilator inlined them, they would be compiled many times again.
    return re.sub(
        rf"^(module ({'|'.join(platform.modules)}) ?\([^;]*;\n)",
        rf"\1  {SHARED}\n",
        source,
        flags=re.M,
    )


def memory_access(name: str, memories: Sequence[str]) -> str:
    """Verilog of a module `name` through which a player fills and prints memories (sram.v) by their numbers in
    `memories`, the instances that hold them, as seen from the top."""

    def task(verb: str, ports: Sequence[str]) -> list[str]:
        inputs = ", ".join(f"input integer {port}" for port in ("memory", *ports))
        calls = [f"{index}: {memory}.model.{verb}({', '.join(ports)});" for index, memory in enumerate(memories)]
        return [
            f"    task {verb}({inputs});",
            "        case (memory)",
            *(f"            {call}" for call in calls),
            '            default: $fatal(1, "there is no memory %0d", memory);',
            "        endcase",
            "    endtask",
        ]

    tasks = [*task("fill", ("source", "count")), *task("print", ("record", "address"))]
    return "\n".join(["", f"module {name};", *tasks, "endmodule", ""])
