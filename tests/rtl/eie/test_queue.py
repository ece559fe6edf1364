from dataclasses import dataclass
from random import Random
from typing import Any

import pytest
from support.bench import Bench, geometry

from zeroskip.rtl.eie.queue import ActivationQueue


@dataclass
class Run:
    columns: list[dict[str, int]]
    pushed: list[int]
    popped: list[int]
    trace: list[tuple[Any, ...]]
    """i.ready, o.valid and level of each cycle."""


def some_columns(count: int, seed: int) -> list[dict[str, int]]:
    random = Random(seed)
    return [
        {"value": random.randrange(-(1 << 15), 1 << 15), "begin": random.randrange(64), "last": random.randrange(64)}
        for _ in range(count)
    ]


def slots(depth: int) -> int:
    return geometry(queue_depth=depth).queue_places


def rtl_queue(columns: list[dict[str, int]], depth: int, *, seed: int, i_pause: float, o_pause: float) -> Run:
    dut = ActivationQueue(geometry(queue_depth=depth))
    bench = Bench(dut, seed)
    given = bench.feed(dut.i, columns, i_pause)
    taken = bench.drain(dut.o, len(columns), o_pause)
    trace = bench.trace(dut.i.ready, dut.o.valid, dut.level)
    bench.run(settle=1)
    return Run(taken.values, given.cycles, taken.cycles, trace)


def levels(run: Run) -> list[int]:
    pushed, popped = set(run.pushed), set(run.popped)
    held = [0]
    for cycle in range(len(run.trace) - 1):
        held.append(held[-1] + (cycle in pushed) - (cycle in popped))
    return held


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
@pytest.mark.parametrize(("i_pause", "o_pause"), [(0.5, 0.5), (0.1, 0.7), (0.7, 0.1)])
def test_keeps_order_and_counts(depth: int, i_pause: float, o_pause: float) -> None:
    columns = some_columns(150, seed=depth)
    run = rtl_queue(columns, depth, seed=depth, i_pause=i_pause, o_pause=o_pause)
    assert run.columns == columns
    assert run.trace == [(level < slots(depth), level > 0, level) for level in levels(run)]


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_fills_up(depth: int) -> None:
    run = rtl_queue(some_columns(60, seed=depth), depth, seed=depth, i_pause=0.0, o_pause=0.9)
    assert {level for _, _, level in run.trace} == set(range(slots(depth) + 1))


@pytest.mark.parametrize("depth", [1, 2, 3, 8])
def test_one_column_a_cycle_after_one_cycle(depth: int) -> None:
    run = rtl_queue(some_columns(20, seed=depth), depth, seed=0, i_pause=0.0, o_pause=0.0)
    assert (run.pushed, run.popped) == (list(range(20)), list(range(1, 21)))


def test_a_place_is_free_in_the_cycle_after() -> None:
    run = rtl_queue(some_columns(80, seed=1), 1, seed=0, i_pause=0.0, o_pause=0.8)
    full = slots(1)
    assert all(column < full or push > run.popped[column - full] for column, push in enumerate(run.pushed))
    assert any(push == pop + 1 for push, pop in zip(run.pushed[full:], run.popped, strict=False))
