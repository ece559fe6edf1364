# amaranth: UnusedElaboratable=no
# (nothing simulates the components of which only the construction is tested)
import re
from collections.abc import Hashable
from typing import Any

from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out

from zeroskip.rtl.emit import SharedModules, emit_rtlil
from zeroskip.rtl.hierarchy import emit_once, keep_apart
from zeroskip.rtl.sram import Sram


class Platform:
    def __init__(self, instance: Elaboratable) -> None:
        self.instance = instance
        self.asked: list[tuple[wiring.Component, Hashable]] = []

    def get_once(self, component: wiring.Component, parameters: Hashable) -> Any:
        self.asked.append((component, parameters))
        return self.instance

    def get_apart(self, component: wiring.Component, parameters: Hashable, clocked: bool) -> Any:
        return self.get_once(component, (parameters, clocked))


def test_is_the_component_itself_where_the_platform_has_no_say() -> None:
    sram = Sram(depth=2, width=2)
    assert [emit_once(sram, platform, parameters=(2, 2)) for platform in (None, object())] == [sram, sram]
    assert [keep_apart(sram, platform, parameters=(2, 2)) for platform in (None, object())] == [sram, sram]


def test_is_what_the_platform_returns() -> None:
    sram, instance = Sram(depth=2, width=2), Module()
    platform = Platform(instance)
    assert emit_once(sram, platform, parameters=(2, 2)) is instance
    assert keep_apart(sram, platform, parameters="other") is instance
    assert keep_apart(sram, platform, parameters="third", clocked=True) is instance
    assert platform.asked == [(sram, (2, 2)), (sram, ("other", False)), (sram, ("third", True))]


class Inverter(wiring.Component):
    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__({"a": In(width), "x": Out(width)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.x.eq(~self.a)
        return m


class Inverters(wiring.Component):
    """One inverter for each width."""

    def __init__(self, *widths: int) -> None:
        self.widths = widths
        super().__init__({f"a{i}": In(width) for i, width in enumerate(widths)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        for i, width in enumerate(self.widths):
            inverter = Inverter(width)
            m.submodules[f"inverter{i}"] = emit_once(inverter, platform, parameters=width)
            m.d.comb += inverter.a.eq(getattr(self, f"a{i}"))
        return m


def test_each_set_of_parameters_is_a_module() -> None:
    text = emit_rtlil(Inverters(8, 4, 8, 4), "design", SharedModules())
    shared = re.findall(r"attribute \\keep_hierarchy 1\nmodule \\(\w+)\n", text)
    assert shared == ["Inverter", "Inverter_1"]
    instances = re.findall(r"cell \\(Inverter\w*) ", text)
    assert instances == ["Inverter", "Inverter_1", "Inverter", "Inverter_1"]
