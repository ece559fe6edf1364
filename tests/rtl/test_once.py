# amaranth: UnusedElaboratable=no
# (nothing simulates the components of which only the construction is tested)
from typing import Any

from amaranth.hdl import Elaboratable, Module
from amaranth.lib import wiring

from zeroskip.rtl.once import once
from zeroskip.rtl.sram import Sram


class Platform:
    def __init__(self, instance: Elaboratable) -> None:
        self.instance = instance
        self.asked: list[wiring.Component] = []

    def get_once(self, component: wiring.Component) -> Any:
        self.asked.append(component)
        return self.instance


def test_is_the_component_itself_where_the_platform_has_no_say() -> None:
    sram = Sram(depth=2, width=2)
    assert once(sram, None) is sram
    assert once(sram, object()) is sram


def test_is_what_the_platform_returns() -> None:
    sram, instance = Sram(depth=2, width=2), Module()
    platform = Platform(instance)
    assert once(sram, platform) is instance
    assert platform.asked == [sram]
