"""Verilog of an Amaranth component for the simulators."""

from __future__ import annotations

import re
from typing import Any

from amaranth.back import rtlil, verilog
from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring

from rtl.sram import Sram


class SimulationPlatform:
    """Makes every Sram an instance of the model in sram.v, so that its size costs nothing to emit or to build, and
    emits what stands in the design many times over once (rtl.once)."""

    def __init__(self) -> None:
        self.modules: dict[str, wiring.Component] = {}

    def get_sram(self, sram: Sram) -> Elaboratable:
        m = Module()
        m.submodules.model = Instance(
            "zeroskip_sram",
            p_WIDTH=sram.width,
            p_DEPTH=sram.depth,
            p_ADDRESS=len(sram.r_addr),
            i_clk=ClockSignal(),
            i_w_en=sram.w_en,
            i_w_addr=sram.w_addr,
            i_w_data=sram.w_data,
            i_r_en=sram.r_en,
            i_r_addr=sram.r_addr,
            o_r_data=sram.r_data,
        )
        return m

    def get_once(self, component: Any) -> Elaboratable:
        name = type(component).__name__
        first = self.modules.setdefault(name, component)
        if first.geometry != component.geometry:
            raise ValueError(f"a design holds {name} in two geometries: {first.geometry} and {component.geometry}")
        ports = {
            f"{'i' if member.flow == wiring.In else 'o'}_{port}": value
            for port, (member, value) in _ports(component).items()
        }
        m = Module()
        m.submodules.instance = Instance(name, i_clk=ClockSignal(), i_rst=ResetSignal(), **ports)
        return m


def _ports(component: wiring.Component) -> dict[str, tuple[wiring.Member, Value]]:
    """The ports of a component as Verilog names them. The `ready` of a stream that is always ready is a constant, and
    no port."""
    ports = {}
    for path, member, value in component.signature.flatten(component):
        if not isinstance(Value.cast(value), Const):
            ports["__".join(map(str, path))] = (member, Value.cast(value))
    return ports


def emit_verilog(component: wiring.Component, name: str) -> str:
    """Verilog of `component` as module `name`, for sources that hold sram.v."""
    platform = SimulationPlatform()

    def emit(part: Any, module: str) -> str:
        ports = {port: (value, None) for port, (_, value) in _ports(part).items()}
        text = rtlil.convert(part, name=module, platform=platform, ports=ports, emit_src=False)
        return text.replace("attribute \\top 1\n", "")

    text = [emit(component, name)]
    # What is emitted once may hold more of its kind.
    done: set[str] = set()
    while todo := set(platform.modules) - done:
        for module in sorted(todo):
            text.append(emit(platform.modules[module], module))
            done.add(module)
    # verilog.convert() would take one component alone.
    source = verilog._convert_rtlil_text("\n".join(text))
    # Inlined, they would be compiled many times over after all.
    return re.sub(
        rf"^(module ({'|'.join(done)}) ?\([^;]*;\n)",
        r"\1  /*verilator no_inline_module*/\n",
        source,
        flags=re.M,
    )
