"""cocotb bench of the N:M tile on a bus (+bus), which pauses at random.

+geometry is the tile's geometry, in JSON, and +map what a SystemRDL compiler reads in the emitted map, which the
hardware must be.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles

from zeroskip.cosim.bus.checks import check_map
from zeroskip.cosim.bus.mma_program import job_registers, job_writes, result_places
from zeroskip.cosim.bus.peers import Peers
from zeroskip.cosim.end_together import end_together
from zeroskip.cosim.mma.package import made_up_products, padded_tiles, result_words
from zeroskip.cosim.mma.play import expected_cycles, plan_of
from zeroskip.model.mma.gemm import Images
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import gemm
from zeroskip.rtl.bus.mma_map import gemm_map

end_together()


class Board(Peers):
    """The tile, and products that it is given."""

    def __init__(self, dut: Any) -> None:
        self.geometry = TileGeometry(**json.loads(Path(cocotb.plusargs["geometry"]).read_text()))
        super().__init__(dut=dut, bus=cocotb.plusargs["bus"], described=gemm_map(self.geometry))
        self.products, _ = made_up_products(self.geometry)

    async def multiply(self, product: int) -> list[int]:
        """A product, whose D must be the golden model's. Returns the cycles of its jobs, those of the cycle model."""
        operand, b, c = self.products[product]
        images = Images(operand, b, c, self.geometry)
        plan = plan_of(operand, b, self.geometry)
        d = padded_tiles(gemm(operand, b, c, self.geometry), images, operand)
        cycles = expected_cycles(plan, self.geometry)
        for job, expected in zip(plan, cycles, strict=True):
            for address, data in job_writes(self.described, images, job):
                await self.write(address, data)
            for address, data in job_registers(self.described, images, job):
                await self.write(address, data)
            await self.put("START", start=1)
            while await self.get("STATUS", "RUNNING"):
                pass
            assert await self.get("CYCLES") == expected
            if job.last:
                size = self.described.window("D").word_bytes
                found = [
                    int.from_bytes(await self.read(address, size), "little")
                    for address in result_places(self.described, job)
                ]
                width = self.geometry.n * self.geometry.result.bits
                assert [word % (1 << width) for word in found] == result_words(d, job, self.geometry)
        return cycles


@cocotb.test()
async def products_by_the_windows(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=True)
    cycles = []
    for product in range(len(board.products)):
        cycles += await board.multiply(product)
    assert await board.events() == {"DONE"}
    assert await board.get("JOBS") == len(cycles)
    assert await board.get("BUSY_CYCLES") == sum(cycles)


@cocotb.test()
async def registers_are_those_of_the_map(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=True)
    await check_map(board, json.loads(Path(cocotb.plusargs["map"]).read_text()))


@cocotb.test()
async def accesses_while_a_job_runs(dut: Any) -> None:
    """They are refused and flagged, and the job's cycles and results are as they were."""
    board = Board(dut)
    await board.begin(pausing=False)
    window = board.described.window("D")
    for name in ("SUMS", "STEPS", "WINDOWS", "ROWS"):
        most = max(one.largest for one in board.described.register(name).fields)
        await board.put(name, **{name.lower(): min(most, 24)})
    await board.put("START", start=1)
    for name in ("START", "A_BASE", "SUMS"):
        await board.refused(board.described.register(name).address, bytes([1, 0, 0, 0]), "LOCKED")
    for name in ("A", "B", "C"):
        await board.refused(board.described.window(name).base, bytes([255] * 4), "LOCKED")
    await board.refused(window.base, None, "LOCKED")
    assert await board.get("STATUS", "RUNNING") == 1
    while await board.get("STATUS", "RUNNING"):
        pass
    assert await board.get("JOBS") == 1
    await board.events()
    await board.multiply(0)


@cocotb.test()
async def an_illegal_code(dut: Any) -> None:
    """It is flagged at the end of the job, and not in the next one."""
    board = Board(dut)
    await board.begin(pausing=False)
    if board.geometry.pattern.dense:
        return
    operand, b, c = board.products[0]
    images = Images(operand, b, c, board.geometry)
    assert images.codes is not None
    images.codes[:] = 0
    (job, *_) = plan_of(operand, b, board.geometry)
    for address, data in job_writes(board.described, images, job):
        await board.write(address, data)
    for address, data in job_registers(board.described, images, job):
        await board.write(address, data)
    await board.put("INTERRUPTS", code=1)
    await board.put("START", start=1)
    while await board.get("STATUS", "RUNNING"):
        pass
    assert dut.irq.value == 1
    assert await board.get("STATUS", "CODE") == 1
    assert await board.events() == {"DONE", "CODE"}
    await board.multiply(0)
    assert await board.events() == {"DONE"}
    assert await board.get("STATUS", "CODE") == 0


@cocotb.test()
async def resets_in_the_middle(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=True)
    rng = np.random.default_rng(cocotb.RANDOM_SEED)
    for _ in range(5):
        await board.put("SUMS", sums=16)
        await board.put("STEPS", steps=4)
        await board.put("START", start=1)
        await ClockCycles(dut.clk, int(rng.integers(1, 80)))
        await board.reset()
        for name in ("EVENTS", "INTERRUPTS", "STATUS", "JOBS", "CYCLES"):
            assert await board.read(board.described.register(name).address) == bytes(4), name
        assert await board.get("SUMS") == 1
    await board.multiply(0)
