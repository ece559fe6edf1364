"""How many cycles an access to a register takes on each bus."""

from __future__ import annotations

from typing import Any

import pytest
from amaranth.sim import Simulator

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.eie_buses import BUSES

GEOMETRY = EieGeometry(pes=1, entry_words=8, pointers=8, activation_rows=64, layers=1)

READ: dict[str, tuple[dict[str, int], str]] = {
    "axi": ({"s_axi_arvalid": 1, "s_axi_rready": 1}, "s_axi_rvalid"),
    "apb": ({"s_apb_psel": 1, "s_apb_penable": 1}, "s_apb_pready"),
    "wishbone": ({"s_wb_cyc": 1, "s_wb_stb": 1}, "s_wb_ack"),
}
"""The inputs that ask for the register at address 0, and the output that is high when it is answered."""


@pytest.mark.parametrize("bus", BUSES)
def test_latency_and_throughput(bus: str) -> None:
    """Asked for without a pause, the answers come after `access_latency` cycles, and one in four cycles. On APB,
    whose set-up cycles are left out here, it is one in two."""
    dut = BUSES[bus](GEOMETRY, stream_bits=16)
    inputs, answer = READ[bus]
    answered = []

    async def testbench(ctx: Any) -> None:
        await ctx.tick()
        for name, value in inputs.items():
            ctx.set(getattr(dut, name), value)
        for cycle in range(20):
            _, _, done = await ctx.tick().sample(getattr(dut, answer))
            if done:
                answered.append(cycle)

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    assert answered[0] == dut.access_latency
    assert answered[1] - answered[0] == (2 if bus == "apb" else 4)
