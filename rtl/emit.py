"""RTLIL of a component; equal components inside it share one module (zeroskip.rtl.hierarchy)."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring

from zeroskip.rtl.sram import Sram

SRAM = "zeroskip_sram"
"""The module of all memories where they are Verilog: a model in cosim/sram.v, or that of an emitted package."""


def sram_instance(sram: Sram) -> Instance:
    """The memory as an instance of the module SRAM."""
    return Instance(
        SRAM,
        p_WIDTH=sram.width,
        p_DEPTH=sram.depth,
        p_ADDRESS=len(sram.read.addr),
        i_clk=ClockSignal(),
        i_w_en=sram.write.en,
        i_w_addr=sram.write.addr,
        i_w_data=sram.write.data,
        i_r_en=sram.read.en,
        i_r_addr=sram.read.addr,
        o_r_data=sram.read.data,
    )


class SharedModules:
    """A platform that emits one module for all components of the same class with the same parameters.

    `modules` maps module names to these components. A module has the name of the class; a number is added for the
    second and later sets of parameters.
    """

    def __init__(self) -> None:
        self.modules: dict[str, wiring.Component] = {}
        self._names: dict[tuple[type, Hashable], str] = {}

    def get_once(self, component: Any, parameters: Hashable) -> Elaboratable:
        return self._instance(component, parameters, i_clk=ClockSignal(), i_rst=ResetSignal())

    def _instance(self, component: Any, parameters: Hashable, **clock: Any) -> Elaboratable:
        m = Module()
        m.submodules.instance = self._bare_instance(component, parameters, **clock)
        return m

    def _bare_instance(self, component: Any, parameters: Hashable, **clock: Any) -> Instance:
        key = type(component), parameters
        if key not in self._names:
            self._names[key] = self._new_name(type(component).__name__)
            self.modules[self._names[key]] = component
        ports = {
            f"{'i' if member.flow == wiring.In else 'o'}_{port}": value
            for port, (member, value) in ports_by_name(component).items()
        }
        return Instance(self._names[key], **clock, **ports)

    def _new_name(self, wanted: str) -> str:
        name, number = wanted, 0
        while name in self.modules:
            number += 1
            name = f"{wanted}_{number}"
        return name


def ports_by_name(component: wiring.Component) -> dict[str, tuple[wiring.Member, Value]]:
    """The ports of a component by their Verilog names. The `ready` of a stream that is always ready is a constant, not
    a port."""
    ports = {}
    for path, member, value in component.signature.flatten(component):
        if not isinstance(Value.cast(value), Const):
            ports["__".join(map(str, path))] = (member, Value.cast(value))
    return ports


def emit_rtlil(component: wiring.Component, name: str, platform: SharedModules) -> str:
    """RTLIL of `component` as module `name`, and of all modules that `platform` shares."""

    def emit(part: Any, module: str) -> str:
        ports = {port: (value, None) for port, (_, value) in ports_by_name(part).items()}
        text: str = rtlil.convert(part, name=module, platform=platform, ports=ports, emit_src=False)
        return text.replace("attribute \\top 1\n", "")

    def keep_hierarchy(text: str, module: str) -> str:
        """Synthesis does not flatten the module."""
        return text.replace(f"module \\{module}\n", f"attribute \\keep_hierarchy 1\nmodule \\{module}\n")

    text = [emit(component, name)]
    # Emitting a shared module may add more of them.
    done: set[str] = set()
    while todo := set(platform.modules) - done:
        for module in sorted(todo):
            text.append(keep_hierarchy(emit(platform.modules[module], module), module))
            done.add(module)
    return "\n".join(text)
