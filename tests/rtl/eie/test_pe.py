from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.bench import Bench, Transfers, clamp, geometry
from support.networks import random_network

from zeroskip.model.eie.bundle import EieLayer, EieNetwork, assemble
from zeroskip.rtl.eie.layouts import Activity
from zeroskip.rtl.eie.pe import ProcessingElement

Column = tuple[int, int]
"""An activation and its column."""


@dataclass
class Run:
    sums: list[int]
    """Of every row, once the PE has come to rest."""
    nonzero: int
    """Flags of the first window."""
    sent: Transfers
    trace: list[tuple[Any, ...]]
    """room, busy, level and activity of each cycle."""


def some_network(seed: int, **sizes: int) -> EieNetwork:
    small = geometry(index_bits=2, **sizes)
    return random_network(np.random.default_rng(seed), small, (50, 60), 0.15, bias=False)


def some_columns(count: int, seed: int) -> list[Column]:
    random = np.random.default_rng(seed)
    return list(zip(random.integers(-3000, 3000, count).tolist(), random.integers(0, 50, count).tolist(), strict=True))


class Core:
    """A PE that holds `network`, of one PE and one layer."""

    def __init__(self, network: EieNetwork, seed: int = 0) -> None:
        self.network = network
        self.dut = ProcessingElement(network.geometry)
        self.bench = Bench(self.dut, seed)
        self.bench.first(self.load)

    async def load(self, ctx: Any) -> None:
        dut, network = self.dut, self.network
        entries = [int.from_bytes(word.tobytes(), "little") for word in network.entries[0]]
        codebook = [value % (1 << 16) for value in network.codebooks[0].tolist()]
        lanes = len(dut.codebook.data)
        groups = [
            {"en": 1, "addr": first // lanes, "data": codebook[first : first + lanes]}
            for first in range(0, len(codebook), lanes)
        ]
        for group in groups:
            for name, value in group.items():
                ctx.set(getattr(dut.codebook, name), value)
            await ctx.tick()
        ctx.set(dut.codebook.en, 0)
        for enable, address, words in (
            (dut.load.entries, dut.load.addr, entries),
            (dut.load.pointers, dut.load.addr, network.pointers[0].tolist()),
        ):
            ctx.set(enable, 1)
            for index, word in enumerate(words):
                ctx.set(address, index)
                ctx.set(dut.load.data, word)
                await ctx.tick()
            ctx.set(enable, 0)
        ctx.set(dut.files.clear, 1)
        await ctx.tick()
        ctx.set(dut.files.clear, 0)

    async def fetch(self, ctx: Any, row: int) -> int:
        ctx.set(self.dut.fetch.en, 1)
        ctx.set(self.dut.fetch.addr, row)
        await ctx.tick()
        ctx.set(self.dut.fetch.en, 0)
        await ctx.tick()
        return ctx.get(self.dut.fetch.data)


def rtl_pe(network: EieNetwork, columns: list[Column], *, seed: int = 0, pause: float = 0.0) -> Run:
    core = Core(network, seed)
    dut, bench = core.dut, core.bench
    run = Run([], 0, Transfers(), bench.trace(dut.room, dut.busy, dut.level, dut.activity))

    async def broadcasting(ctx: Any) -> None:
        cycle = 0

        async def tick() -> None:
            nonlocal cycle
            await ctx.tick()
            cycle += 1

        for value, pointer in columns:
            while bench.random.random() < pause or not ctx.get(dut.room):
                await tick()
            ctx.set(dut.broadcast.payload, {"value": value, "pointer": pointer})
            ctx.set(dut.broadcast.valid, 1)
            run.sent.add(cycle, (value, pointer))
            await tick()
            ctx.set(dut.broadcast.valid, 0)
        while ctx.get(dut.busy):
            await tick()
        for _ in range(network.geometry.settle_cycles):
            await tick()
        ctx.set(dut.files.swap, 1)
        await tick()
        ctx.set(dut.files.swap, 0)
        run.nonzero = ctx.get(dut.flags)
        for row in range(network.layers[0].outputs):
            run.sums.append(await core.fetch(ctx, row))

    bench.add(broadcasting)
    bench.run()
    return run


def expected(network: EieNetwork, columns: list[Column]) -> list[int]:
    matrix = network.weights(0).astype(int)
    sums = [0] * len(matrix)
    for value, column in columns:
        for row in np.flatnonzero(matrix[:, column]):
            product = (int(matrix[row, column]) * value) >> network.geometry.product_shift
            sums[row] = clamp(sums[row] + product, network.geometry.accumulator_bits)
    return sums


@pytest.mark.parametrize(
    "sizes",
    [
        {"queue_depth": 8},
        {"queue_depth": 1, "entries_per_word": 2},
        {"queue_depth": 2, "entries_per_word": 1, "code_bits": 6},
        {"queue_depth": 3, "accumulator_bits": 16, "product_shift": 6},
    ],
    ids=str,
)
@pytest.mark.parametrize("pause", [0.0, 0.7])
def test_sums_and_flags(sizes: dict[str, int], pause: float) -> None:
    network, columns = some_network(1, **sizes), some_columns(120, seed=2)
    run = rtl_pe(network, columns, seed=3, pause=pause)
    wanted = expected(network, columns)
    assert run.sums == wanted
    assert run.nonzero == sum((total != 0) << row for row, total in enumerate(wanted))


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_room_counts_the_queue(depth: int) -> None:
    run = rtl_pe(some_network(4, queue_depth=depth), some_columns(80, seed=5))
    full = geometry(queue_depth=depth).queue_full
    assert {level for _, _, level, _ in run.trace} >= set(range(full + 1))
    assert [room for room, *_ in run.trace] == [level < full for _, _, level, _ in run.trace]


@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_a_word_or_an_update_in_every_cycle_while_columns_wait(pause: float) -> None:
    trace = rtl_pe(some_network(6), some_columns(100, seed=7), seed=8, pause=pause).trace
    waiting = [cycle for cycle, (_, _, level, _) in enumerate(trace[:-4]) if level]
    assert waiting
    assert [cycle for cycle in waiting if trace[cycle + 4][3] == Activity.IDLE] == []


def one_column(rows: int) -> EieNetwork:
    """Weight 7 in the first `rows` rows of column 1; column 0 is empty."""
    small = geometry()
    layer = EieLayer(
        inputs=2, outputs=64, relu=False, bias=False, input_fraction=0, weight_fraction=0, output_fraction=0
    )
    codes = np.zeros((64, 2), np.uint8)
    codes[:rows, 1] = 1
    return assemble(small, (layer,), [codes], np.array([[0, 7] + [0] * 14], np.int16))


def test_an_empty_column_is_dropped_in_two_cycles() -> None:
    run = rtl_pe(one_column(3), [(5, 0)])
    assert [(busy, level, activity) for _, busy, level, activity in run.trace[:4]] == [
        (0, 0, Activity.IDLE),
        (1, 0, Activity.IDLE),
        (1, 0, Activity.IDLE),
        (0, 0, Activity.IDLE),
    ]


@pytest.mark.parametrize("rows", [1, 2, 8, 20])
def test_from_broadcast_to_rest(rows: int) -> None:
    """Broadcast in cycle 0, in the queue in cycle 3, first update in cycle 7, flagged five cycles later, of which
    the last three pass while the PE is no longer busy."""
    run = rtl_pe(one_column(rows), [(5, 1)])
    cycles = len(run.trace)
    assert [level for _, _, level, _ in run.trace[:4]] == [0, 0, 0, 1]
    assert [a == Activity.BUSY for *_, a in run.trace] == [7 <= cycle < 7 + rows for cycle in range(cycles)]
    assert [busy for _, busy, *_ in run.trace] == [1 <= cycle < 7 + rows + 2 for cycle in range(cycles)]
    assert run.sums == [35] * rows + [0] * (64 - rows)


@pytest.mark.parametrize(("swap", "found"), [(11, 0), (12, 35)])
def test_an_update_stands_in_the_file_six_cycles_after_its_issue(swap: int, found: int) -> None:
    """Issued in cycle 7, it is flagged at the end of cycle 12: a swap at the end of cycle 11 leaves it in the wrong
    file."""
    core = Core(one_column(1))
    fetched: list[int] = []

    async def swapping(ctx: Any) -> None:
        ctx.set(core.dut.broadcast.payload, {"value": 5, "pointer": 1})
        for cycle in range(swap + 1):
            ctx.set(core.dut.broadcast.valid, cycle == 0)
            ctx.set(core.dut.files.swap, cycle == swap)
            await ctx.tick()
        ctx.set(core.dut.files.swap, 0)
        fetched.append(await core.fetch(ctx, 0))

    core.bench.add(swapping)
    core.bench.run()
    assert fetched == [found]
