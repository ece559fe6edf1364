"""RTLIL of a component, with what stands in it many times emitted once (zeroskip.rtl.once)."""

from __future__ import annotations

from typing import Any

from amaranth.back import rtlil
from amaranth.hdl import ClockSignal, Const, Elaboratable, Instance, Module, ResetSignal, Value
from amaranth.lib import wiring


class OncePlatform:
    """Emits components that stand in a design many times over once; `modules` collects them by name."""

    def __init__(self) -> None:
        self.modules: dict[str, wiring.Component] = {}

    def get_once(self, component: Any) -> Elaboratable:
        return self._instance(component, i_clk=ClockSignal(), i_rst=ResetSignal())

    def _instance(self, component: Any, **clock: Any) -> Elaboratable:
        name = type(component).__name__
        first = self.modules.setdefault(name, component)
        if first.geometry != component.geometry:
            raise ValueError(f"a design holds {name} in two geometries: {first.geometry} and {component.geometry}")
        ports = {
            f"{'i' if member.flow == wiring.In else 'o'}_{port}": value
            for port, (member, value) in _ports(component).items()
        }
        m = Module()
        m.submodules.instance = Instance(name, **clock, **ports)
        return m


def _ports(component: wiring.Component) -> dict[str, tuple[wiring.Member, Value]]:
    """The ports of a component as Verilog names them. The `ready` of a stream that is always ready is a constant, and
    no port."""
    ports = {}
    for path, member, value in component.signature.flatten(component):
        if not isinstance(Value.cast(value), Const):
            ports["__".join(map(str, path))] = (member, Value.cast(value))
    return ports


def emit_rtlil(component: wiring.Component, name: str, platform: OncePlatform) -> str:
    """RTLIL of `component` as module `name`, and of all that `platform` emits once."""

    def emit(part: Any, module: str) -> str:
        ports = {port: (value, None) for port, (_, value) in _ports(part).items()}
        text = rtlil.convert(part, name=module, platform=platform, ports=ports, emit_src=False)
        return text.replace("attribute \\top 1\n", "")

    def whole(part: Any, module: str) -> str:
        """For synthesis: it stays a module of its own."""
        return emit(part, module).replace(f"module \\{module}\n", f"attribute \\keep_hierarchy 1\nmodule \\{module}\n")

    text = [emit(component, name)]
    # What is emitted once may hold more of its kind.
    done: set[str] = set()
    while todo := set(platform.modules) - done:
        for module in sorted(todo):
            text.append(whole(platform.modules[module], module))
            done.add(module)
    return "\n".join(text)
