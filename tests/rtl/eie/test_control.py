# amaranth: UnusedElaboratable=no
# (a component is made to ask for its latency)
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module, Signal
from support.bench import Bench, Transfers, geometry, load

from zeroskip.model.eie.golden import VALUE_MAX, VALUE_MIN, requantise
from zeroskip.rtl.eie.control import ControlUnit

GEOMETRY = geometry(pes=4, activation_rows=32, pointers=512, layers=4)
"""128 activations in two windows."""

Row = dict[str, int]
"""Fields of a layer_layout."""


@dataclass
class Program:
    """A layer table, and the accumulators that the source files hold during each layer, and behind the last."""

    table: list[Row]
    sources: list[list[int]]

    def activations(self, stage: int) -> list[int]:
        """Of the sources of layer `stage`, rounded as the layer before says."""
        before = self.table[stage - 1] if stage else {"out_shift": 0, "relu": 0}
        rounded = requantise(np.array(self.sources[stage]), before["out_shift"], relu=bool(before["relu"]))
        return np.clip(rounded, VALUE_MIN, VALUE_MAX).tolist()


def some_program(layers: int, seed: int) -> Program:
    random = Random(seed)
    table, sources = [], []
    for index in range(layers):
        table.append(
            {
                "inputs": random.choice([1, 40, 64, 90, 128]),
                "outputs": random.randint(1, 128),
                "pointer_base": random.randrange(300),
                "codebook": random.randrange(4),
                "out_shift": random.choice([0, 1, 8]),
                "relu": random.getrandbits(1),
                "bias": random.getrandbits(1),
                "bias_one": random.randrange(1 << 15),
                "last": index == layers - 1,
            }
        )
    for index in range(layers + 1):
        limit = 1 << 20 if index else 1 << 15
        sources.append([random.randrange(-limit, limit) * (random.random() < 0.3) for _ in range(128)])
    return Program(table, sources)


class Core:
    """A control unit among PEs that only keep it waiting: they show what `program` says, are busy for a while behind
    each broadcast, and have no room with probability `pause`."""

    def __init__(self, program: Program, seed: int = 0, pause: float = 0.0) -> None:
        self.program, self.stage = program, 0
        m = Module()
        m.submodules.dut = self.dut = dut = ControlUnit(GEOMETRY)
        self.flags = Signal(GEOMETRY.activations)
        m.d.comb += dut.flags.eq(self.flags.word_select(dut.files.window, GEOMETRY.window))
        self.bench = Bench(m, seed)
        self.bench.first(self.load)
        self.bench.simulator.add_process(self.files)
        self.pause = pause
        self.bench.simulator.add_process(self.room)
        self.state = self.bench.trace(
            dut.idle, dut.done, dut.running, dut.layer, dut.files.clear, dut.files.swap, dut.pes_busy
        )

    async def load(self, ctx: Any) -> None:
        await load(ctx, self.dut.load, self.program.table)

    async def files(self, ctx: Any) -> None:
        dut, busy = self.dut, 0
        answers = [0] * (GEOMETRY.fetch_cycles - 1)

        def show() -> None:
            ctx.set(self.flags, sum((a != 0) << j for j, a in enumerate(self.program.activations(self.stage))))

        show()
        watched = ctx.tick().sample(dut.fetch.en, dut.fetch.addr, dut.files.swap, dut.broadcast.valid)
        async for _, _, en, index, swap, sent in watched:
            answers.append(self.program.sources[self.stage][index] if en else 0)
            ctx.set(dut.fetch.data, answers.pop(0))
            # As late as it may be: two cycles behind the broadcast.
            ctx.set(dut.pes_busy, busy > 0)
            busy = max(busy - 1, self.bench.random.randint(1, 9) if sent else 0)
            if swap:
                self.stage += 1
                show()

    async def room(self, ctx: Any) -> None:
        while True:
            ctx.set(self.dut.room, self.bench.random.random() >= self.pause)
            await ctx.tick()

    async def start(self, ctx: Any) -> None:
        """Starts, tries to start again at random while the network runs, and waits for `done`."""
        ctx.set(self.dut.start, 1)
        await ctx.tick()
        while ctx.get(self.dut.running):
            ctx.set(self.dut.start, self.bench.random.getrandbits(1))
            await ctx.tick()
        ctx.set(self.dut.start, 0)


def expected_broadcasts(program: Program) -> list[tuple[Any, ...]]:
    """What is broadcast, and the layer's parameters that stand at the PEs: codebook, half, relu, layer."""
    broadcasts = []
    for stage, row in enumerate(program.table):
        columns = [(a, j) for j, a in enumerate(program.activations(stage)[: row["inputs"]]) if a]
        columns += [(row["bias_one"], row["inputs"])] * row["bias"]
        parameters = (row["codebook"], (1 << row["out_shift"]) >> 1, row["relu"], stage)
        broadcasts += [({"value": a, "pointer": row["pointer_base"] + j}, *parameters) for a, j in columns]
    return broadcasts


def rtl_control(program: Program, *, seed: int, pause: float) -> tuple[Transfers, Core]:
    core = Core(program, seed, pause)
    dut, bench = core.dut, core.bench
    parameters = (dut.codebook, dut.rounding.half, dut.rounding.relu, dut.layer)
    broadcasts = bench.watch(dut.broadcast.valid, dut.broadcast.payload, *parameters)
    rooms = bench.trace(dut.room)
    bench.add(core.start)
    bench.run(settle=5)
    assert all(rooms[cycle - 1] == (1,) for cycle in broadcasts.cycles)
    return broadcasts, core


def rtl_read(program: Program, indices: list[int], *, seed: int, pause: float) -> tuple[Transfers, Transfers]:
    """Reads from a program without layers, as they are taken and answered."""
    core = Core(program, seed)
    reads = core.bench.feed(core.dut.read, indices, pause)
    results = core.bench.drain(core.dut.result, len(indices), pause)
    core.bench.run()
    return reads, results


@pytest.mark.parametrize(("layers", "seed"), [(1, 0), (1, 1), (2, 2), (3, 3), (4, 4), (4, 5)])
@pytest.mark.parametrize("pause", [0.0, 0.6])
def test_broadcasts_of_all_layers(layers: int, seed: int, pause: float) -> None:
    program = some_program(layers, seed)
    broadcasts, _ = rtl_control(program, seed=seed, pause=pause)
    assert broadcasts.values == expected_broadcasts(program)


@dataclass
class Trace:
    """The state of the control unit in each cycle of a run that starts in cycle 0."""

    idle: list[int]
    done: list[int]
    running: list[int]
    layer: list[int]
    clear: list[int]
    swap: list[int]
    pes_busy: list[int]

    @property
    def end(self) -> int:
        """The cycle of `done`."""
        return self.done.index(1)


def rtl_trace(layers: int, seed: int) -> Trace:
    _, core = rtl_control(some_program(layers, seed), seed=seed, pause=0.3)
    return Trace(*(list(signal) for signal in zip(*core.state, strict=True)))


def high(signal: list[int]) -> list[int]:
    """The cycles in which a signal is high."""
    return [cycle for cycle, value in enumerate(signal) if value]


each_run = pytest.mark.parametrize(("layers", "seed"), [(1, 0), (3, 1), (4, 2)])


@each_run
def test_runs_from_start_to_done(layers: int, seed: int) -> None:
    trace = rtl_trace(layers, seed)
    assert high(trace.done) == [trace.end]
    assert trace.running == [0 < cycle < trace.end for cycle in range(len(trace.running))]
    assert trace.idle == [not is_running for is_running in trace.running]


@each_run
def test_each_layer_ends_with_a_swap_when_the_pes_rest(layers: int, seed: int) -> None:
    trace = rtl_trace(layers, seed)
    swaps = high(trace.swap)
    # The last layer's swap is in the cycle before `done`.
    assert (len(swaps), swaps[-1]) == (layers, trace.end - 1)
    assert [cycle for cycle in swaps if trace.pes_busy[cycle]] == []
    assert trace.layer[1 : trace.end] == [sum(cycle > at for at in swaps) for cycle in range(1, trace.end)]


@each_run
def test_only_the_start_clears_the_destination(layers: int, seed: int) -> None:
    assert high(rtl_trace(layers, seed).clear) == [1]


def test_one_broadcast_a_cycle_from_the_first_on() -> None:
    program = some_program(1, 0)
    program.table[0] |= {"inputs": 64, "bias": 1}
    program.sources[0] = [1] * 128
    broadcasts, core = rtl_control(program, seed=0, pause=0.0)
    first = core.dut.first_broadcast
    assert broadcasts.cycles == list(range(first, first + 65))


@pytest.mark.parametrize("pause", [0.2, 0.6])
def test_reads_are_answered_in_order(pause: float) -> None:
    program, random = some_program(1, 7), Random(8)
    indices = [random.randrange(128) for _ in range(80)]
    _, results = rtl_read(program, indices, seed=9, pause=pause)
    assert results.values == [program.activations(0)[index] for index in indices]


def test_a_read_a_cycle() -> None:
    reads, results = rtl_read(some_program(1, 7), list(range(128)), seed=0, pause=0.0)
    latency = ControlUnit(GEOMETRY).read_latency
    assert (reads.cycles, results.cycles) == (list(range(128)), list(range(latency, latency + 128)))


def test_results_are_rounded_as_the_last_layer_says() -> None:
    program = some_program(3, 11)
    program.table[2] |= {"out_shift": 8, "relu": 1}
    core = Core(program)
    results: list[int] = []

    async def running(ctx: Any) -> None:
        await core.start(ctx)
        ctx.set(core.dut.result.ready, 1)
        for index in range(128):
            ctx.set(core.dut.read.payload, index)
            ctx.set(core.dut.read.valid, 1)
            await ctx.tick().until(core.dut.read.ready)
            ctx.set(core.dut.read.valid, 0)
            results.append((await ctx.tick().sample(core.dut.result.payload).until(core.dut.result.valid))[0])

    core.bench.add(running)
    core.bench.run()
    assert results == program.activations(3)


def test_start_goes_before_a_read_of_the_same_cycle() -> None:
    program = some_program(2, 13)
    core = Core(program)
    core.bench.add(core.start)
    reads = core.bench.feed(core.dut.read, [17])
    results = core.bench.drain(core.dut.result, 1)
    core.bench.run()
    end = [done for _, done, *_ in core.state].index(1)
    assert reads.cycles == [end]
    assert results.values == [program.activations(2)[17]]


def test_start_is_not_taken_while_a_result_waits() -> None:
    program = some_program(1, 14)
    core = Core(program)
    core.bench.feed(core.dut.read, [3])

    async def starting(ctx: Any) -> None:
        await ctx.tick()
        ctx.set(core.dut.start, 1)
        await ctx.tick().repeat(8)
        ctx.set(core.dut.start, 0)

    core.bench.add(starting)
    core.bench.run(settle=3)
    assert [(idle, running) for idle, _, running, *_ in core.state] == [(1, 0)] + [(0, 0)] * 11
