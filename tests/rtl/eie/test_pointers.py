from itertools import pairwise
from random import Random
from typing import Any

import pytest
from support.bench import Bench, geometry, load

from zeroskip.rtl.eie.pointers import PointerRead

Broadcasts = list[tuple[int, dict[str, int]]]
"""The cycle of each broadcast, and what it carries."""


def some_pointers(count: int, seed: int) -> list[int]:
    """Increasing, with every other column or so empty, and one that fills the memory."""
    random, pointers = Random(seed), [0]
    for _ in range(count - 2):
        pointers.append(min(100, pointers[-1] + random.choice([0, 0, 1, 2, 7])))
    return [*pointers, 128]


def some_broadcasts(columns: int, seed: int) -> Broadcasts:
    """Every column at least once, in any order, at times one behind the other."""
    random = Random(seed)
    order = random.sample(range(columns), columns) + random.choices(range(columns), k=40)
    cycle, broadcasts = 0, []
    for pointer in order:
        cycle += random.choice([1, 1, 1, 3])
        broadcasts.append((cycle, {"value": random.randrange(-(1 << 15), 1 << 15), "pointer": pointer}))
    return broadcasts


def rtl_pointers(pointers: list[int], broadcasts: Broadcasts, seed: int) -> tuple[Broadcasts, list[int]]:
    """Cycle and payload of each column that came out, and the cycles in which the unit was busy."""
    dut = PointerRead(geometry(pointers=len(pointers)))
    bench = Bench(dut, seed)
    columns, busy = bench.watch(dut.o.valid, dut.o.payload), bench.trace(dut.busy)

    async def loading(ctx: Any) -> None:
        await load(ctx, dut.load, pointers)

    async def broadcasting(ctx: Any) -> None:
        cycle = 0
        for at, broadcast in broadcasts:
            for _ in range(at - cycle):
                await ctx.tick()
            ctx.set(dut.i.payload, broadcast)
            ctx.set(dut.i.valid, 1)
            await ctx.tick()
            ctx.set(dut.i.valid, 0)
            ctx.set(dut.i.payload.as_value(), bench.random.getrandbits(len(dut.i.payload.as_value())))
            cycle = at + 1

    bench.first(loading)
    bench.add(broadcasting)
    bench.run(settle=3)
    return (
        list(zip(columns.cycles, columns.values, strict=True)),
        [cycle for cycle, (is_busy,) in enumerate(busy) if is_busy],
    )


def expected(pointers: list[int], broadcasts: Broadcasts) -> tuple[Broadcasts, list[int]]:
    bounds = list(pairwise(pointers))
    columns = []
    for cycle, broadcast in broadcasts:
        begin, end = bounds[broadcast["pointer"]]
        if begin != end:
            columns.append((cycle + 2, {"value": broadcast["value"], "begin": begin, "last": end - 1}))
    return columns, sorted({cycle + stage for cycle, _ in broadcasts for stage in (1, 2)})


@pytest.mark.parametrize("count", [2, 3, 16, 17, 40])
def test_begin_and_last_two_cycles_later(count: int) -> None:
    pointers, broadcasts = some_pointers(count, seed=count), some_broadcasts(count - 1, seed=count)
    assert rtl_pointers(pointers, broadcasts, seed=count) == expected(pointers, broadcasts)


def test_empty_columns_give_nothing() -> None:
    broadcasts = some_broadcasts(9, seed=0)
    assert rtl_pointers([5] * 10, broadcasts, seed=0)[0] == []
