# amaranth: UnusedElaboratable=no
# (nothing simulates the components of which only the construction is tested)
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.sim import Simulator

from zeroskip.rtl.own_register import OwnRegister


@pytest.mark.parametrize("resets", [False, True])
def test_shows_each_value_one_cycle_later(resets: bool) -> None:
    dut, shown = OwnRegister(4, resets=resets), []

    async def testbench(ctx: Any) -> None:
        for value in (5, 9, 0, 15):
            ctx.set(dut.i, value)
            shown.append(ctx.get(dut.o))
            await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert shown == [0, 5, 9, 0]


def test_platform_decides() -> None:
    class Platform:
        def get_own_register(self, register: OwnRegister) -> Elaboratable:
            self.asked = register
            return flip_flops

    register, flip_flops, platform = OwnRegister(3, resets=True), Module(), Platform()
    assert register.elaborate(platform) is flip_flops
    assert platform.asked is register


def test_width_is_checked() -> None:
    with pytest.raises(ValueError, match="width must be at least 1, not 0"):
        OwnRegister(0, resets=False)
