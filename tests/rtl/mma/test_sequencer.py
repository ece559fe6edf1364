from random import Random
from typing import Any

import pytest
from support.bench import Bench, Transfers

from zeroskip.model.mma import cycles
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.mma.layouts import timing
from zeroskip.rtl.mma.sequencer import Sequencer

Job = dict[str, int]

GEOMETRIES = {
    "float": TileGeometry(a_words=512, b_words=64, d_words=64),
    "int": TileGeometry(dtype="int8", out="int32", k=4, a_words=512, b_words=64, d_words=64),
    "four phases": TileGeometry(keep=1, k=8, a_words=512, b_words=64, d_words=64),
    "dense": TileGeometry(keep=1, group=1, a_words=512, b_words=64, d_words=64),
    # As small as they get: a job uses all words of some of them.
    "tight": TileGeometry(a_words=24, b_words=6, d_words=11),
    "c last": TileGeometry(generation="B200", dtype="e4m3", k=32),
}


def random_job(geometry: TileGeometry, random: Random) -> Job:
    while True:
        dense = random.randrange(2)
        windows, rows, columns = random.randint(1, 6), random.randint(1, 8), random.randint(1, 6)
        phases = geometry.phases if dense and not geometry.pattern.dense else 1
        # The last window may have fewer steps.
        steps = windows * phases - random.randrange(phases)
        spare = {
            "a_base": geometry.a_words - rows * steps,
            "b_base": geometry.b_words - columns * windows,
            "d_base": geometry.d_words - rows * columns,
        }
        if min(spare.values()) < 0 or rows * columns * steps > 400:
            continue
        bases = {name: random.choice([0, room, random.randint(0, room)]) for name, room in spare.items()}
        job = bases | {"rows": rows, "sums": rows * columns, "windows": windows, "steps": steps}
        return job if geometry.pattern.dense else job | {"dense": dense}


def sums_of(geometry: TileGeometry, job: Job) -> list[list[dict[str, int]]]:
    """The steps of each sum, without their slots."""
    dense = job.get("dense", 0)
    phases = geometry.phases if dense else 1
    steps = job["steps"]
    sums = []
    for number in range(job["sums"]):
        column, row = divmod(number, job["rows"])
        chain = []
        for step in range(steps):
            window, phase = divmod(step, phases)
            fields = {
                "a": job["a_base"] + row * steps + step,
                "b": job["b_base"] + column * job["windows"] + window,
                "d": job["d_base"] + number,
                "first": step == 0,
                "last": step == steps - 1,
            }
            if not geometry.pattern.dense:
                fields |= {"dense": dense, "phase": phase}
            chain.append({name: int(value) for name, value in fields.items()})
        sums.append(chain)
    return sums


def expected(geometry: TileGeometry, job: Job) -> list[dict[str, int]]:
    """Rounds of `loop` sums, in the last all that are left; slots count through a round."""
    sums, loop, order = sums_of(geometry, job), timing(geometry).loop, []
    while sums:
        size = loop if len(sums) >= 2 * loop else len(sums)
        for steps in zip(*sums[:size], strict=True):
            order += [step | {"slot": slot} for slot, step in enumerate(steps)]
        sums = sums[size:]
    return order


def rtl_sequencer(
    geometry: TileGeometry, jobs: list[Job], *, seed: int, pause: float
) -> tuple[Transfers, Transfers, list[int], list[int]]:
    """Starts, steps, the cycles of `done`, and those in which the last sum of each job was finished."""
    dut = Sequencer(geometry)
    bench = Bench(dut, seed)
    starts = bench.feed(dut.start, jobs, pause)
    steps = bench.watch(dut.fetch.valid, dut.fetch.payload)
    done = bench.watch(dut.done, dut.done)
    due: list[int] = []
    last: list[int] = []

    async def finishing(ctx: Any) -> None:
        """Some time after the last step of each sum, in their order."""
        waiting, cycle = [job["sums"] for job in jobs], 0
        while waiting:
            finish = bool(due) and due[0] <= cycle
            ctx.set(dut.finished, finish)
            _, _, taken, step = await ctx.tick().sample(dut.fetch.valid, dut.fetch.payload)
            if finish:
                due.pop(0)
                waiting[0] -= 1
                if not waiting[0]:
                    last.append(cycle)
                    waiting.pop(0)
            cycle += 1
            if taken and step.last:
                due.append(cycle + bench.random.randrange(1 + round(10 * pause)))
        ctx.set(dut.finished, 0)

    bench.add(finishing)
    bench.run(settle=20)
    return starts, steps, done.cycles, last


@pytest.mark.parametrize("pause", [0.0, 0.5])
@pytest.mark.parametrize("name", GEOMETRIES)
def test_jobs_at_random(name: str, pause: float) -> None:
    geometry, random = GEOMETRIES[name], Random(name)
    for seed in range(4):
        jobs = [random_job(geometry, random) for _ in range(5)]
        starts, steps, done, last = rtl_sequencer(geometry, jobs, seed=seed, pause=pause)
        assert steps.values == [step for job in jobs for step in expected(geometry, job)]
        assert done == last
        # A job begins when the one before is done, in the cycle after at the earliest.
        assert all(start > end for start, end in zip(starts.cycles[1:], done, strict=False))
        loop = timing(geometry).loop
        # Two cycles after its start, a job offers a step a cycle; fewer than `loop` sums rest between their steps.
        assert steps.cycles == [
            start + 2 + number + number // job["sums"] * max(0, loop - job["sums"])
            for job, start in zip(jobs, starts.cycles, strict=True)
            for number in range(job["sums"] * job["steps"])
        ]


@pytest.mark.parametrize("name", ["float", "int"])
@pytest.mark.parametrize("sums", range(1, 21))
def test_no_slot_is_used_again_too_soon(name: str, sums: int) -> None:
    """The tile never waits, whatever the number of sums; each sum's steps keep their order and its slot."""
    geometry = GEOMETRIES[name]
    times = timing(geometry)
    job = {"a_base": 3, "b_base": 1, "d_base": 2, "rows": sums, "sums": sums, "windows": 3, "steps": 3, "dense": 0}
    _, steps, _, _ = rtl_sequencer(geometry, [job], seed=sums, pause=0.0)
    chains: dict[int, list[dict[str, int]]] = {}
    before: dict[int, int] = {}
    for cycle, step in zip(steps.cycles, steps.values, strict=True):
        slot = step["slot"]
        assert slot < times.slots
        assert cycle - before.get(slot, cycle - times.loop) >= times.loop
        before[slot] = cycle
        chains.setdefault(step["d"], []).append(step)
    for chain, wanted in zip((chains[d] for d in sorted(chains)), sums_of(geometry, job), strict=True):
        assert len({step["slot"] for step in chain}) == 1
        assert [{name: value for name, value in step.items() if name != "slot"} for step in chain] == wanted


def test_the_cycle_model_knows_the_loop() -> None:
    """One sum: a step every `loop` cycles."""
    for name, geometry in GEOMETRIES.items():
        loop = timing(geometry).loop
        assert loop == {"int": 1, "c last": 4}.get(name, 5)
        assert timing(geometry).slots == 2 * loop - 1
        one, two = (cycles.job_cycles(geometry, sums=1, steps=steps) for steps in (1, 2))
        assert two - one == loop
