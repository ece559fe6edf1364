# amaranth: UnusedElaboratable=no
# (nothing simulates the components of which only the construction is tested)
import re
from random import Random
from typing import Any

import pytest
from amaranth.hdl import Elaboratable, Module
from amaranth.sim import Simulator

from zeroskip.rtl.sram import Sram

Operation = tuple[bool, int, int, bool, int]
"""`en`, `addr` and `data` of the write port, `en` and `addr` of the read port."""


def operations(depth: int, width: int, seed: int) -> list[Operation]:
    """Writes every word, then reads and writes at random, but never one word in one cycle."""
    random = Random(seed)
    made: list[Operation] = [(True, address, random.getrandbits(width), False, 0) for address in range(depth)]
    for _ in range(200):
        write, read = random.randrange(depth), random.randrange(depth)
        w_en = random.random() < 0.5
        made.append(
            (w_en, write, random.getrandbits(width), random.random() < 0.5 and (read != write or not w_en), read)
        )
    return made


def rtl_sram(operations: list[Operation], depth: int, width: int) -> list[int]:
    """`read.data` in the cycle after each operation."""
    dut, shown = Sram(depth=depth, width=width), []
    ports = dut.write.en, dut.write.addr, dut.write.data, dut.read.en, dut.read.addr

    async def testbench(ctx: Any) -> None:
        for operation in operations:
            for port, value in zip(ports, operation, strict=True):
                ctx.set(port, value)
            await ctx.tick()
            shown.append(ctx.get(dut.read.data))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return shown


def expected(operations: list[Operation]) -> list[int]:
    words: dict[int, int] = {}
    shown, r_data = [], 0
    for w_en, w_addr, w_data, r_en, r_addr in operations:
        if r_en:
            r_data = words[r_addr]
        if w_en:
            words[w_addr] = w_data
        shown.append(r_data)
    return shown


@pytest.mark.parametrize(("depth", "width"), [(1, 1), (2, 8), (5, 13), (16, 64)])
def test_reads_what_was_written_and_keeps_it(depth: int, width: int) -> None:
    made = operations(depth, width, seed=depth)
    assert rtl_sram(made, depth, width) == expected(made)


def test_platform_decides() -> None:
    class Platform:
        def get_sram(self, sram: Sram) -> Elaboratable:
            self.asked = sram
            return macro

    sram, macro, platform = Sram(depth=4, width=8), Module(), Platform()
    assert sram.elaborate(platform) is macro
    assert platform.asked is sram


@pytest.mark.parametrize(("depth", "width"), [(0, 8), (4, 0), (-1, -2)])
def test_sizes_are_checked(depth: int, width: int) -> None:
    message = f"depth and width must be at least 1, not {depth} and {width}"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        Sram(depth=depth, width=width)
