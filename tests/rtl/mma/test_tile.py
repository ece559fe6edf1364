"""The tile, cycle by cycle; what it computes, at length, is in tests/cosim/test_mma.py."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
from support.bench import Bench, Transfers
from support.steps import Steps, random_steps

from zeroskip.model.mma import numerics
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.tile import Tile

INT: dict[str, Any] = {"dtype": "int8", "out": "int32", "m": 2, "n": 1, "k": 2}
GEOMETRIES = {
    "int8": TileGeometry(**INT),
    "relaxed": TileGeometry(**INT, check="relaxed"),
    "1:2": TileGeometry(**INT | {"keep": 1, "group": 2, "k": 2}),
    "4:8 pairs": TileGeometry(**INT | {"keep": 4, "group": 8, "pair": 2, "k": 4, "m": 1}),
    "dense": TileGeometry(**INT | {"keep": 1, "group": 1}),
    "fp16": TileGeometry(generation="V100", k=4, m=1, n=1),
    "two blocks": TileGeometry(generation="H100", dtype="e5m2", out="fp16", k=32, m=1, n=1),
    "c last": TileGeometry(generation="B200", dtype="e4m3", k=32, m=1, n=1, keep=1, group=1),
}


@dataclass
class Run:
    taken: Transfers
    results: Transfers
    trace: list[tuple[int, int]]
    """`clear` and `illegal` in each cycle."""
    latency: int
    loop: int


def rtl_tile(
    geometry: TileGeometry, steps: Steps, *, seed: int, step_pause: float = 0.0, result_pause: float = 0.0
) -> Run:
    """Runs the steps, with `clear` high now and then."""
    dut = Tile(geometry)
    bench = Bench(dut, seed)
    taken = bench.feed(dut.step, steps.as_list(), step_pause)
    results = bench.drain(dut.result, len(steps.results), result_pause)
    trace = bench.trace(dut.clear, dut.illegal)

    async def clearing(ctx: Any) -> None:
        while len(results.values) < len(steps.results):
            ctx.set(dut.clear, bench.random.random() < 0.2)
            await ctx.tick()
        ctx.set(dut.clear, 0)

    bench.add(clearing)
    bench.run(settle=3, limit=100_000)
    return Run(taken, results, trace, dut.latency, dut.loop)


def illegal_cycles(run: Run, steps: Steps) -> list[int]:
    """`illegal` as it must be: in the cycle after an illegal step was taken, and until it is cleared."""
    bad = {cycle for cycle, is_illegal in zip(run.taken.cycles, steps.illegal, strict=True) if is_illegal}
    flag, flags = 0, []
    for cycle, (clear, _) in enumerate(run.trace):
        flags.append(flag)
        flag = int(cycle in bad or (flag and not clear))
    return flags


@pytest.mark.parametrize("pauses", [(0.0, 0.0), (0.6, 0.0), (0.0, 0.6), (0.4, 0.4)])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_steps_at_random(name: str, pauses: tuple[float, float]) -> None:
    geometry, rng = GEOMETRIES[name], np.random.default_rng(len(name))
    steps = random_steps(rng, geometry, 150 if geometry.out.startswith("int") else 60)
    run = rtl_tile(geometry, steps, seed=1, step_pause=pauses[0], result_pause=pauses[1])
    assert run.results.values == steps.results.tolist()
    assert [flag for _, flag in run.trace] == illegal_cycles(run, steps)
    assert steps.illegal.any() == (not geometry.pattern.dense)


@pytest.mark.parametrize("keeps_sign", [False, True])
def test_the_sign_of_what_becomes_zero_is_the_golden_models(monkeypatch: pytest.MonkeyPatch, keeps_sign: bool) -> None:
    monkeypatch.setattr(numerics, "UNDERFLOW_KEEPS_SIGN", keeps_sign)
    geometry = dataclasses.replace(GEOMETRIES["fp16"], out="fp16")
    steps = random_steps(np.random.default_rng(2), geometry, 200, kinds=("lone", "edge"))
    run = rtl_tile(geometry, steps, seed=3)
    assert run.results.values == steps.results.tolist()
    assert (steps.results == 0x8000).any() == keeps_sign


@pytest.mark.parametrize(
    ("name", "active"), [("int8", 1), ("fp16", 1), ("fp16", 2), ("fp16", 9), ("two blocks", 2), ("c last", 7)]
)
def test_cycles(name: str, active: int) -> None:
    """Results leave `latency` cycles behind their last steps; a step waits for the one before it in its slot alone."""
    geometry = GEOMETRIES[name]
    steps = random_steps(np.random.default_rng(5), geometry, 60, active=active)
    run = rtl_tile(geometry, steps, seed=2)
    assert run.results.cycles == [run.taken.cycles[i] + run.latency for i in steps.last]
    expected: list[int] = []
    before: dict[int, int] = {}
    for slot, first in zip(steps.fields["slot"].tolist(), steps.fields["first"].tolist(), strict=True):
        cycle = expected[-1] + 1 if expected else 0
        if not first:
            cycle = max(cycle, before[slot] + run.loop)
        before[slot] = cycle
        expected.append(cycle)
    assert run.taken.cycles == expected


@pytest.mark.parametrize("name", ["int8", "relaxed", "1:2", "4:8 pairs"])
def test_every_illegal_code_is_seen_alone(name: str) -> None:
    """One code after the other, the rest of the row legal."""
    geometry = GEOMETRIES[name]
    count = 1 << geometry.pattern.code_bits
    steps = random_steps(np.random.default_rng(3), geometry, 2 * count, longest=1, dense=0.0, legal=True)
    assert not steps.illegal.any()
    codes = steps.fields["codes"]
    for i in range(count):
        codes[2 * i, i % geometry.m, i % geometry.groups] = i
    bad = {"int8": 10, "relaxed": 4, "1:2": 14, "4:8 pairs": 10}[name]
    run = rtl_tile(geometry, steps, seed=4, step_pause=0.3, result_pause=0.3)
    legal = {code for code in range(count) if code not in ILLEGAL[name]}
    flags = np.array([i % 2 == 0 and i // 2 not in legal for i in range(2 * count)])
    assert flags.sum() == bad
    changed = Steps(fields=steps.fields, results=steps.results, illegal=flags)
    assert [flag for _, flag in run.trace] == illegal_cycles(run, changed)


INCREASING = {0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110}
ILLEGAL = {
    "int8": set(range(16)) - INCREASING,
    "4:8 pairs": set(range(16)) - INCREASING,
    "relaxed": {0b0000, 0b0101, 0b1010, 0b1111},
    "1:2": set(range(16)) - {0b0100, 0b1110},
}


def test_a_dense_step_has_no_illegal_codes() -> None:
    geometry = GEOMETRIES["int8"]
    steps = random_steps(np.random.default_rng(9), geometry, 80, dense=1.0)
    run = rtl_tile(geometry, steps, seed=9)
    assert run.results.values == steps.results.tolist()
    assert not any(flag for _, flag in run.trace)
