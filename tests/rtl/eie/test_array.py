from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from support.bench import Bench, geometry
from support.networks import random_inputs, random_network

from zeroskip.cosim.eie.program import network_transfers
from zeroskip.model.eie import cycles as cycle_model
from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.rtl.eie.array import Array
from zeroskip.rtl.eie.layouts import LoadTarget


@dataclass
class Run:
    outputs: list[list[int]] = field(default_factory=list)
    cycles: list[int] = field(default_factory=list)
    """From `start` to `done`."""
    layer_cycles: list[list[int]] = field(default_factory=list)
    dones: int = 0
    """Cycles in which `done` was high."""


def activation_transfers(network: EieNetwork, image: NDArray[np.int16]) -> list[dict[str, Any]]:
    lanes = network.geometry.activation_lanes
    padded = np.zeros(-(-len(image) // lanes) * lanes, np.int64)
    padded[: len(image)] = image.view(np.uint16)
    return [
        {
            "target": LoadTarget.ACTIVATIONS,
            "pe": 0,
            "address": first,
            "data": sum(int(value) << 16 * lane for lane, value in enumerate(padded[first : first + lanes])),
        }
        for first in range(0, len(padded), lanes)
    ]


def rtl_array(network: EieNetwork, inputs: NDArray[np.int16], *, seed: int, pause: float) -> Run:
    """Loads the network; then loads, runs and reads each image."""
    dut = Array(network.geometry)
    bench, run = Bench(dut, seed), Run()
    monitor = bench.trace(dut.done, dut.monitor.running, dut.monitor.layer)
    outputs = network.layers[-1].outputs

    def rests() -> bool:
        return bench.random.random() < pause

    async def put(ctx: Any, port: Any, payload: Any) -> None:
        while rests():
            await ctx.tick()
        ctx.set(port.payload, payload)
        ctx.set(port.valid, 1)
        await ctx.tick().until(port.ready)
        ctx.set(port.valid, 0)

    async def results(ctx: Any) -> None:
        for _ in inputs:
            image: list[int] = []
            while len(image) < outputs:
                ctx.set(dut.result.ready, not rests())
                _, _, valid, ready, value = await ctx.tick().sample(
                    dut.result.valid, dut.result.ready, dut.result.payload
                )
                image += [value] * (valid & ready)
            run.outputs.append(image)

    async def hosting(ctx: Any) -> None:
        for transfer in network_transfers(network):
            await put(ctx, dut.load, transfer)
        for image in inputs:
            for transfer in activation_transfers(network, image):
                await put(ctx, dut.load, transfer)
            first = len(monitor)
            ctx.set(dut.start, 1)
            await ctx.tick()
            ctx.set(dut.start, 0)
            await ctx.tick().until(dut.done)
            running = [layer for _, is_running, layer in monitor[first:] if is_running]
            run.cycles.append(len(running) + 1)
            run.layer_cycles.append([running.count(layer) for layer in range(len(network.layers))])
            for index in range(outputs):
                await put(ctx, dut.read, index)
            await ctx.tick().until(dut.idle)

    bench.add(hosting)
    bench.add(results)
    bench.run()
    run.dones = sum(done for done, *_ in monitor)
    return run


def expected(network: EieNetwork, inputs: NDArray[np.int16]) -> Run:
    layers = golden.run(network, inputs)
    cycles = cycle_model.run(network, [layer.inputs for layer in layers])
    return Run(
        outputs=layers[-1].outputs.tolist(),
        cycles=(cycles.sum(axis=1) + cycle_model.START_TO_DONE).tolist(),
        layer_cycles=cycles.tolist(),
        dones=len(inputs),
    )


@pytest.mark.parametrize(
    ("sizes", "widths", "bias"),
    [
        ({"pes": 1, "queue_depth": 1, "entries_per_word": 2}, (70, 40, 12), True),
        ({"pes": 1, "queue_depth": 3, "code_bits": 6, "index_bits": 2}, (30, 100, 7), False),
        ({"pes": 2, "queue_depth": 2, "entries_per_word": 1, "accumulator_bits": 48}, (65, 50, 20, 9), True),
        ({"pes": 4, "queue_depth": 8, "index_bits": 2}, (150, 66, 64, 10), True),
        ({"pes": 4, "queue_depth": 1, "accumulator_bits": 16, "product_shift": 8}, (90, 130, 10), False),
        ({"pes": 8, "queue_depth": 2}, (30, 20, 3), True),
        ({"pes": 32, "queue_depth": 1, "activation_rows": 4, "entries_per_word": 2}, (70, 40), True),
    ],
    ids=str,
)
@pytest.mark.parametrize("pause", [0.0, 0.4])
def test_a_network(sizes: dict[str, int], widths: tuple[int, ...], bias: bool, pause: float) -> None:
    random = np.random.default_rng(len(widths))
    network = random_network(random, geometry(**sizes), widths, 0.12, bias=bias)
    inputs = random_inputs(random, 3, widths[0], (0.5, 0.0, 1.0))
    assert rtl_array(network, inputs, seed=1, pause=pause) == expected(network, inputs)


async def load_all(ctx: Any, dut: Array, transfers: list[dict[str, Any]]) -> None:
    """One transfer a cycle."""
    ctx.set(dut.load.valid, 1)
    for transfer in transfers:
        ctx.set(dut.load.payload, transfer)
        _, _, ready = await ctx.tick().sample(dut.load.ready)
        assert ready
    ctx.set(dut.load.valid, 0)


@pytest.mark.parametrize("pes", [1, 4, 32])
def test_reads_one_a_cycle(pes: int) -> None:
    random = np.random.default_rng(pes)
    network = random_network(random, geometry(pes=pes), (60, 8), 0.1)
    image = random_inputs(random, 1, 60, (0.8,))[0]
    dut = Array(network.geometry)
    bench = Bench(dut)
    bench.first(lambda ctx: load_all(ctx, dut, network_transfers(network) + activation_transfers(network, image)))
    reads, results = bench.feed(dut.read, range(60)), bench.drain(dut.result, 60)
    bench.run()
    assert results.values == image.tolist()
    latency = dut.read_latency
    assert (reads.cycles, results.cycles) == (list(range(60)), list(range(latency, latency + 60)))


def test_nothing_is_loaded_or_read_while_a_network_runs() -> None:
    random = np.random.default_rng(5)
    network = random_network(random, geometry(pes=2), (60, 30), 0.2)
    inputs = random_inputs(random, 1, 60, (0.8,))
    dut = Array(network.geometry)
    bench = Bench(dut)
    state = bench.trace(dut.idle, dut.load.ready, dut.read.ready, dut.result.valid, dut.done)

    async def starting(ctx: Any) -> None:
        await load_all(ctx, dut, network_transfers(network) + activation_transfers(network, inputs[0]))
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        ctx.set(dut.load.valid, 1)
        ctx.set(dut.read.valid, 1)

    async def wait(ctx: Any) -> None:
        await ctx.tick().until(dut.done)

    bench.first(starting)
    bench.add(wait)
    bench.run()
    (cycles,) = expected(network, inputs).cycles
    assert state == [(0, 0, 0, 0, 0)] * (cycles - 1) + [(1, 1, 1, 0, 1)]


def test_loaded_activations_read_back_behind_a_run() -> None:
    random = np.random.default_rng(1)
    network = random_network(random, geometry(pes=1), (20, 8), 0.3)
    image = random_inputs(random, 1, 20, (1.0,))[0]
    dut = Array(network.geometry)
    bench = Bench(dut)

    async def load(ctx, transfers):
        ctx.set(dut.load.valid, 1)
        for transfer in transfers:
            ctx.set(dut.load.payload, transfer)
            await ctx.tick()
        ctx.set(dut.load.valid, 0)

    activations = [
        {"target": LoadTarget.ACTIVATIONS, "pe": 0, "address": j, "data": a % (1 << 16)}
        for j, a in enumerate(image.tolist())
    ]

    async def running(ctx):
        await load(ctx, network_transfers(network) + activations)
        ctx.set(dut.start, 1)
        await ctx.tick()
        ctx.set(dut.start, 0)
        await ctx.tick().until(dut.done)
        await load(ctx, activations)

    bench.first(running)
    bench.feed(dut.read, range(20))
    results = bench.drain(dut.result, 20)
    bench.run()
    assert results.values == image.tolist()
