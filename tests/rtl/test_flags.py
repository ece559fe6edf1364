from typing import Any

import pytest
from amaranth.hdl import Module, Signal
from amaranth.sim import Simulator

from zeroskip.rtl.flags import at_least


@pytest.mark.parametrize("width", [1, 2, 5, 8])
@pytest.mark.parametrize("count", [1, 2, 3])
def test_every_set_of_flags(width: int, count: int) -> None:
    flags, reached = Signal(width), Signal()
    m = Module()
    m.d.comb += reached.eq(at_least(flags, count))
    found = []

    async def testbench(ctx: Any) -> None:
        for value in range(1 << width):
            ctx.set(flags, value)
            found.append(ctx.get(reached))

    simulator = Simulator(m)
    simulator.add_testbench(testbench)
    simulator.run()
    assert found == [value.bit_count() >= count for value in range(1 << width)]
