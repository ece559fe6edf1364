"""cocotb bench of the mapping unit on a bus (+bus), which pauses at random, as does its stream of triples.

+geometry is the unit's geometry, in JSON, and +map what a SystemRDL compiler reads in the emitted map, which the
hardware must be.
"""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.triggers import ClockCycles, RisingEdge, with_timeout
from cocotb.utils import get_sim_time
from numpy.typing import NDArray

from zeroskip.cosim.bus.checks import check_map, write_outside
from zeroskip.cosim.bus.mapping_program import (
    Write,
    found_keys,
    job_writes,
    map_writes,
    packet,
    sort_writes,
    triples_of,
    words_of,
)
from zeroskip.cosim.bus.peers import CLOCK_NS, Peers
from zeroskip.cosim.bus.window_words import window_words
from zeroskip.cosim.end_together import end_together
from zeroskip.cosim.mapping.program import farthest_job, move_bits, nearest_job, result_words, word_bits
from zeroskip.model.mapping.farthest import plan_farthest
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.layer import LayerPlan, plan_layer
from zeroskip.model.mapping.nearest import plan_nearest
from zeroskip.model.mapping.ranking import NONE
from zeroskip.rtl.bus.mapping_map import JobKind, mapper_map

end_together()

KERNEL = np.array(list(itertools.product((-1, 0, 1), repeat=3)))
"""The offsets of a kernel of 3 in each direction."""


class Board(Peers):
    """The unit, and layers that it is given."""

    def __init__(self, dut: Any) -> None:
        self.geometry = MapperGeometry(**json.loads(Path(cocotb.plusargs["geometry"]).read_text()))
        super().__init__(dut=dut, bus=cocotb.plusargs["bus"], described=mapper_map(self.geometry))
        self.random = random.Random(cocotb.RANDOM_SEED)
        self.rng = np.random.default_rng(cocotb.RANDOM_SEED)

    def cloud(self, count: int) -> NDArray[np.int64]:
        """Points of a cube, each once, in any order."""
        places = self.rng.permutation(4**3)[:count]
        return np.stack([0 * places, *np.unravel_index(places, (4, 4, 4))], axis=1)

    async def begin_job(self, writes: Any) -> None:
        for address, data in writes:
            await self.write(address, data)
        await self.put("START", start=1)

    async def idle(self) -> None:
        while await self.get("STATUS", "RUNNING"):
            pass

    async def words(self, base: int, count: int) -> bytes:
        """Words of the memory, from word `base` on."""
        return await self.read(*words_of(self.described, base, count))

    async def sort(self, plan: LayerPlan) -> None:
        """The sorts of a layer, whose lists and cycles must be those of the models."""
        for sort, cycles in zip(plan.sorts, plan.cycles, strict=False):
            await self.begin_job(sort_writes(self.described, sort, self.geometry))
            await self.idle()
            assert await self.get("CYCLES") == cycles
            assert await self.get("SORTED") == len(sort.found)
            data = await self.words(sort.target, self.geometry.blocks(len(sort.found)))
            found = found_keys(self.described, data, len(sort.found), self.geometry)
            assert np.array_equal(found.keys, sort.found.keys)
            assert np.array_equal(found.indices, sort.found.indices)

    async def map(self, plan: LayerPlan) -> None:
        """The map of a layer, whose lists are sorted, by the stream: that of the golden model."""
        for part in plan.maps:
            await self.begin_job(map_writes(self.described, plan, part))
            found = await with_timeout(self.receive(), 1, "ms")
            assert found == packet(triples_of(plan, part))
            await self.idle()

    async def layer(self, plan: LayerPlan) -> None:
        await self.sort(plan)
        await self.map(plan)

    def load(self, window: str, bits: NDArray[np.uint8]) -> Write:
        """What writes words to a window, from its first one on."""
        described = self.described.window(window)
        return described.base, window_words(described, bits)


@cocotb.test()
async def layers_by_windows_and_stream(dut: Any) -> None:
    """Lists, maps and counters of layers of their own points, with strides and with other outputs."""
    board = Board(dut)
    await board.begin(pausing=True)
    cloud = board.cloud(40)
    plans = [
        plan_layer(cloud, KERNEL, board.geometry),
        plan_layer(cloud, KERNEL, board.geometry, strides=(2, 2, 2)),
        plan_layer(cloud[:21], KERNEL[9:18], board.geometry, outputs=board.cloud(13), most_triples=60),
        plan_layer(cloud[:1], KERNEL[:1], board.geometry),
    ]
    assert len(plans[2].maps) > 1
    for plan in plans:
        await board.layer(plan)
    assert await board.events() == {"DONE"}
    assert await board.get("JOBS") == sum(len(plan.cycles) for plan in plans)
    assert await board.get("TRIPLES") == sum(len(plan.triples) for plan in plans)
    assert await board.get("BUSY_CYCLES") >= sum(sum(plan.cycles) for plan in plans)


@cocotb.test()
async def cycles_are_those_of_the_model_while_no_triples_wait(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=False)
    plan = plan_layer(board.cloud(50), KERNEL, board.geometry)
    await board.layer(plan)
    assert await board.get("CYCLES") == plan.cycles[-1]
    assert await board.get("BUSY_CYCLES") == sum(plan.cycles)
    assert await board.get("WAITING_CYCLES") == 0


@cocotb.test()
async def rankings_and_samples(dut: Any) -> None:
    """The nearest points of queries, and the farthest points, as the golden models find them."""
    board = Board(dut)
    await board.begin(pausing=True)
    geometry, described = board.geometry, board.described
    cloud = board.cloud(30)
    nearest = plan_nearest(cloud, board.cloud(7), geometry, count=geometry.width, radius=2)
    await board.write(*board.load("KEYS", word_bits(nearest.points, geometry)))
    indices, squared = [], []
    for job in nearest.jobs:
        await board.write(*board.load("SHIFTS", move_bits(nearest.moves[job.start : job.stop], geometry)))
        await board.begin_job(job_writes(described, JobKind.RANK, nearest_job(nearest, job)))
        await board.idle()
        values = len(job) * nearest.count
        data = await board.words(nearest.target, result_words(nearest, job))
        found = found_keys(described, data, values, geometry)
        none = found.keys == (1 << geometry.key_bits) - 1
        indices += np.where(none, NONE, found.indices).tolist()
        squared += np.where(none, NONE, found.keys).tolist()
    assert indices == nearest.indices.ravel().tolist()
    assert squared == nearest.squared.ravel().tolist()

    plan = plan_farthest(cloud, geometry, count=6)
    samples = len(plan.samples) - 1
    await board.write(*board.load("KEYS", word_bits(plan.points, geometry)))
    await board.write(*board.load("SHIFTS", move_bits(np.array([plan.move]), geometry)))
    await board.begin_job(job_writes(described, JobKind.FARTHEST, farthest_job(plan)))
    await board.idle()
    assert await board.get("CYCLES") == plan.cycles
    found = found_keys(described, await board.words(plan.target, samples), samples * geometry.width, geometry)
    assert found.indices[:: geometry.width].tolist() == plan.samples[1:].tolist()
    assert await board.events() == {"DONE"}


@cocotb.test()
async def registers_are_those_of_the_map(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=True)
    await check_map(board, json.loads(Path(cocotb.plusargs["map"]).read_text()))


@cocotb.test()
async def accesses_while_a_job_runs(dut: Any) -> None:
    """They are refused and flagged, and the triples, which wait, are as they were: their waiting is counted."""
    board = Board(dut)
    await board.begin(pausing=False)
    plan = plan_layer(board.cloud(40), KERNEL, board.geometry)
    await board.sort(plan)
    await board.events()
    board.results.pause = True
    (part,) = plan.maps
    await board.begin_job(map_writes(board.described, plan, part))
    for name in ("START", "KIND", "A_COUNT", "KEPT_LOW"):
        before = await board.read(board.described.register(name).address)
        await board.refused(board.described.register(name).address, bytes([1, 0, 0, 0]), "LOCKED")
        assert await board.read(board.described.register(name).address) == before, name
    for name in ("SHIFTS", "KEYS"):
        window = board.described.window(name)
        for address in range(window.base, window.base + window.word_bytes, 4):
            await board.refused(address, bytes([255] * 4), "LOCKED")
    await board.refused(board.described.window("FOUND").base, None, "LOCKED")
    assert await board.get("STATUS", "RUNNING") == 1
    waited, began = await board.get("WAITING_CYCLES"), get_sim_time("ns")
    await ClockCycles(dut.clk, 50)
    assert await board.get("WAITING_CYCLES") - waited == (get_sim_time("ns") - began) / CLOCK_NS
    assert await board.get("JOBS") == len(plan.sorts)
    board.results.pause = False
    assert await with_timeout(board.receive(), 1, "ms") == packet(plan.triples)
    await board.idle()
    assert await board.events() == {"DONE"}
    await board.layer(plan)


@cocotb.test()
async def writes_outside_of_the_map(dut: Any) -> None:
    """They are refused and flagged, and the sorted lists are unchanged."""
    board = Board(dut)
    await board.begin(pausing=False)
    plan = plan_layer(board.cloud(40), KERNEL, board.geometry)
    await board.sort(plan)
    await write_outside(board)
    await board.map(plan)


@cocotb.test()
async def a_map_without_triples_is_an_empty_packet(dut: Any) -> None:
    board = Board(dut)
    await board.begin(pausing=True)
    cloud = board.cloud(8)
    far = board.geometry.reach
    plan = plan_layer(cloud, [[far, far, far]], board.geometry)
    assert len(plan.triples) == 0
    await board.layer(plan)
    await board.layer(plan_layer(cloud, KERNEL, board.geometry))
    assert await board.events() == {"DONE"}


@cocotb.test()
async def a_list_that_is_not_sorted(dut: Any) -> None:
    """It is flagged at the end of its map, and not at that of the next one."""
    board = Board(dut)
    await board.begin(pausing=False)
    plan = plan_layer(board.cloud(20), KERNEL, board.geometry)
    await board.write(*board.load("KEYS", word_bits(plan.inputs.source, board.geometry)))
    await board.put("INTERRUPTS", disordered=1)
    (part,) = plan.maps
    await board.begin_job(map_writes(board.described, plan, part))
    await with_timeout(board.receive(), 1, "ms")
    await board.idle()
    assert dut.irq.value == 1
    assert await board.get("STATUS", "DISORDERED") == 1
    assert await board.events() == {"DONE", "DISORDERED"}
    await RisingEdge(dut.clk)
    assert dut.irq.value == 0
    await board.layer(plan)
    assert await board.get("STATUS", "DISORDERED") == 0
    assert await board.events() == {"DONE"}


@cocotb.test()
async def resets_in_the_middle(dut: Any) -> None:
    """At any moment of sorting, mapping and sending: afterwards everything is as at the start."""
    board = Board(dut)
    await board.begin(pausing=True)
    plan = plan_layer(board.cloud(20), KERNEL, board.geometry)
    for _ in range(3):
        await board.sort(plan)
        for writes in (
            sort_writes(board.described, plan.inputs, board.geometry),
            map_writes(board.described, plan, plan.maps[0]),
        ):
            await board.begin_job(writes)
            await ClockCycles(dut.clk, board.random.randint(1, plan.cycles[-1]))
            await board.reset()
            board.results.clear()
            for name in ("EVENTS", "INTERRUPTS", "STATUS", "JOBS", "CYCLES", "TRIPLES", "KIND"):
                assert await board.read(board.described.register(name).address) == bytes(4), name
            assert await board.get("OFFSETS") == 1
            await board.sort(plan)
    await board.layer(plan)
