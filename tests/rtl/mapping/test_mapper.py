"""The mapping unit as a whole: maps and sorts, with pauses on all ports, against the golden model."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from support.bench import Bench
from support.point_clouds import cube, distinct_points, map_by_hand

from zeroskip.model.mapping import cycles
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList, kernel_map, points, sort_keys, strided
from zeroskip.model.mapping.keys import kept_bits, shifts
from zeroskip.rtl.mapping.layouts import MapperTarget, word_layout
from zeroskip.rtl.mapping.mapper import Mapper

SMALL: dict[str, Any] = {"coordinate_bits": 6, "reach": 4, "batch_bits": 2, "index_bits": 9, "offsets": 30}
WIDTHS = [1, 2, 4, 8]


def geometry_of(width: int, dims: int = 2, words: int = 64, **fields: Any) -> MapperGeometry:
    return MapperGeometry(**{**SMALL, "width": width, "dims": dims, "words": words, **fields})


@dataclass
class Run:
    triples: list[list[int]] = field(default_factory=list)
    counts: list[int] = field(default_factory=list)
    """Triples of each word."""
    cycles: list[int] = field(default_factory=list)
    disordered: list[bool] = field(default_factory=list)
    lists: list[KeyList] = field(default_factory=list)
    """The sorted lists."""


def words_of(listed: KeyList, geometry: MapperGeometry) -> list[int]:
    """The list as words of the memory; what follows its end is not zero."""
    keys = np.resize(np.append(listed.keys, 5), geometry.blocks(len(listed)) * geometry.width).reshape(
        -1, geometry.width
    )
    indices = np.resize(np.append(listed.indices, 3), keys.shape)
    return [
        word_layout(geometry).const([{"key": k, "index": i} for k, i in zip(*row, strict=True)]).as_value().value
        for row in zip(keys.tolist(), indices.tolist(), strict=True)
    ]


def rtl_mapper(
    geometry: MapperGeometry,
    lists: dict[int, KeyList],
    moves: list[int],
    jobs: list[dict[str, int]],
    *,
    seed: int = 0,
    pause: float = 0.0,
) -> Run:
    """Loads the lists (by their first words) and the shifts, and runs one job after the other. After a sort its list
    is read."""
    dut = Mapper(geometry)
    bench = Bench(dut, seed)
    run = Run()
    loads = [
        {"target": MapperTarget.KEYS, "address": base + at, "data": word}
        for base, listed in lists.items()
        for at, word in enumerate(words_of(listed, geometry))
    ]
    loads += [
        {"target": MapperTarget.SHIFTS, "address": at, "data": move % (1 << geometry.key_bits)}
        for at, move in enumerate(moves)
    ]
    bench.random.shuffle(loads)

    async def first(ctx: Any) -> None:
        for transfer in loads:
            ctx.set(dut.load.payload, transfer)
            ctx.set(dut.load.valid, 1)
            await ctx.tick().until(dut.load.ready)
        ctx.set(dut.load.valid, 0)

    async def drain(ctx: Any) -> None:
        """Takes triples at random times, and checks that they stand still."""
        waiting = None
        while True:
            ready = bench.random.random() >= pause
            ctx.set(dut.triples.ready, ready)
            _, _, valid, word = await ctx.tick().sample(dut.triples.valid, dut.triples.payload)
            if not valid:
                assert waiting is None
                continue
            count = int(word.count)
            offered = [[int(v.offset), int(v.input), int(v.output)] for v in list(word["values"])[:count]]
            assert waiting is None or offered == waiting
            waiting = None if ready else offered
            if ready:
                run.triples += offered
                run.counts.append(count)

    async def control(ctx: Any) -> None:
        for job in jobs:
            ctx.set(dut.start.payload, job)
            ctx.set(dut.start.valid, 1)
            await ctx.tick().until(dut.start.ready)
            ctx.set(dut.start.valid, 0)
            taken, done = 0, False
            while not done:
                _, _, done = await ctx.tick().sample(dut.done)
                taken += 1
            run.cycles.append(taken)
            await ctx.tick()
            run.disordered.append(bool(ctx.get(dut.disordered)))
            if job.get("sort"):
                count = ctx.get(dut.sorted)
                entries: list[tuple[int, int]] = []
                for at in range(-(-count // geometry.width)):
                    ctx.set(dut.read.payload, job["target"] + at)
                    ctx.set(dut.read.valid, 1)
                    await ctx.tick().until(dut.read.ready)
                    ctx.set(dut.read.valid, 0)
                    while bench.random.random() < pause:
                        await ctx.tick()
                    ctx.set(dut.result.ready, 1)
                    (word,) = await ctx.tick().sample(dut.result.payload).until(dut.result.valid)
                    ctx.set(dut.result.ready, 0)
                    entries += [(int(entry.key), int(entry.index)) for entry in word]
                keys, indices = np.array(entries[:count], np.int64).reshape(-1, 2).T
                run.lists.append(KeyList(keys=keys, indices=indices))

    bench.first(first)
    bench.simulator.add_testbench(drain, background=True)
    bench.add(control)
    bench.run(limit=60_000)
    return run


def map_job(geometry: MapperGeometry, a: tuple[int, KeyList], b: tuple[int, KeyList], offsets: int) -> dict[str, int]:
    return {
        "a_base": a[0],
        "a_count": len(a[1]),
        "b_base": b[0],
        "b_count": len(b[1]),
        "offsets": offsets,
    }


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_a_map_of_a_layer_that_keeps_its_points(width: int, pause: float) -> None:
    geometry = geometry_of(width)
    cloud = distinct_points(geometry, 40, seed=width)
    listed = sort_keys(points(cloud, geometry))
    offsets = cube(3, 2)
    job = map_job(geometry, (5, listed), (5, listed), len(offsets))
    run = rtl_mapper(geometry, {5: listed}, shifts(offsets, geometry).tolist(), [job], seed=width, pause=pause)

    assert run.triples == map_by_hand(cloud, cloud, offsets)
    assert set(run.counts[:-1]) <= {geometry.pairs}
    assert run.disordered == [False]
    if not pause:
        assert run.cycles == [cycles.map_cycles(geometry, len(listed), len(listed), len(offsets))]


def lists_of(geometry: MapperGeometry, sizes: Iterable[int], seed: int) -> list[tuple[int, KeyList]]:
    """Unsorted lists of these sizes, each with its first word, one after the other."""
    found, base = [], 1
    for size in sizes:
        rng = np.random.default_rng(seed + size)
        listed = points(distinct_points(geometry, 3 * size, seed=size, spread=20)[:size], geometry)
        assert len(listed) == size
        found.append((base, KeyList(keys=listed.keys, indices=rng.permutation(size))))
        base += geometry.blocks(size)
    return found


@pytest.mark.parametrize("width", WIDTHS)
def test_maps_between_lists_of_any_length(width: int) -> None:
    """One after the other, with one and with three offsets."""
    geometry = geometry_of(width, dims=1, coordinate_bits=8, words=128)
    places = [
        (base, sort_keys(listed)) for base, listed in lists_of(geometry, (0, 1, 3, 30, 33, 16, 17, 15), seed=width)
    ]
    empty, one, three, thirty, large, sixteen, seventeen, fifteen = places
    pairs = [(empty, empty), (empty, thirty), (thirty, empty), (one, one), (three, thirty), (large, one)]
    pairs += [(sixteen, sixteen), (seventeen, fifteen), (fifteen, sixteen)]
    offsets = np.array([[0], [-2], [4]])
    jobs = [(pair, count) for pair in pairs for count in (3, 1)]
    run = rtl_mapper(
        geometry,
        dict(places),
        shifts(offsets, geometry).tolist(),
        [map_job(geometry, *pair, count) for pair, count in jobs],
        seed=width,
    )

    expected = [kernel_map(a, b, offsets[:count], geometry) for ((_, a), (_, b)), count in jobs]
    assert run.triples == np.concatenate(expected).tolist()
    assert run.cycles == [cycles.map_cycles(geometry, len(a), len(b), count) for ((_, a), (_, b)), count in jobs]
    assert not any(run.disordered)


@pytest.mark.parametrize("width", WIDTHS)
def test_sorting(width: int) -> None:
    """Lists of all lengths to another place, and then in their own."""
    geometry = geometry_of(width, words=512)
    places = lists_of(geometry, (0, 1, 2, 7, 8, 9, 16, 31, 48, 65), seed=width)
    everything = (1 << geometry.key_bits) - 1
    jobs = [
        {"sort": 1, "a_base": base, "a_count": len(listed), "kept": everything, "target": target, "spare": 400}
        for base, listed in places
        for target in (300, base)
    ]
    run = rtl_mapper(geometry, dict(places), [], jobs, seed=width)

    for found, (_, listed) in zip(run.lists, (place for place in places for _ in range(2)), strict=True):
        expected = sort_keys(listed)
        assert found.keys.tolist() == expected.keys.tolist()
        assert found.indices.tolist() == expected.indices.tolist()
    assert run.cycles == [cycles.sort_cycles(geometry, job["a_count"]) for job in jobs]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("size", [1, 5, 40])
def test_strided_points_and_their_map(width: int, size: int) -> None:
    """From unsorted points to the map of a strided layer, without the host's help."""
    geometry = geometry_of(width, words=220)
    cloud = distinct_points(geometry, 3 * size, seed=size, spread=5)[:size]
    listed = points(cloud, geometry)
    offsets = cube(3, 2)
    everything = (1 << geometry.key_bits) - 1
    inputs = {"sort": 1, "a_base": 0, "a_count": len(listed), "kept": everything, "target": 0, "spare": 50}
    outputs = {
        **inputs,
        "kept": kept_bits((2, 4), geometry),
        "unique": 1,
        "renumber": 1,
        "target": 100,
        "spare": 150,
    }
    expected = strided(listed, (2, 4), geometry)
    mapped = map_job(geometry, (100, expected), (0, listed), len(offsets))
    moves = shifts(offsets, geometry).tolist()
    run = rtl_mapper(geometry, {0: listed}, moves, [inputs, outputs, mapped], seed=size)

    assert run.lists[1].keys.tolist() == expected.keys.tolist()
    assert run.lists[1].indices.tolist() == expected.indices.tolist()
    assert run.triples == kernel_map(expected, sort_keys(listed), offsets, geometry).tolist()
    assert run.disordered[-1] is False


@pytest.mark.parametrize("unique", [0, 1])
def test_points_that_occur_twice(unique: int) -> None:
    geometry = geometry_of(4)
    rng = np.random.default_rng(unique)
    listed = KeyList(keys=rng.integers(0, 12, 45), indices=rng.permutation(45))
    job = {"sort": 1, "a_count": 45, "kept": -1 % (1 << geometry.key_bits), "unique": unique, "target": 20, "spare": 40}
    run = rtl_mapper(geometry, {0: listed}, [], [job])
    expected = sort_keys(listed, unique=bool(unique))
    assert run.lists[0].keys.tolist() == expected.keys.tolist()
    assert run.lists[0].indices.tolist() == expected.indices.tolist()


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("fault", ["twice", "exchanged"])
@pytest.mark.parametrize("side", [0, 1])
def test_lists_that_are_not_sorted_are_reported(width: int, fault: str, side: int) -> None:
    """A key twice, or two keys exchanged, in either list; the next map is right again."""
    geometry = geometry_of(width, words=96)
    listed = sort_keys(points(distinct_points(geometry, 30, seed=width), geometry))
    keys = listed.keys.copy()
    keys[[11, 25]] = keys[[10, 25]] if fault == "twice" else keys[[25, 11]]
    wrong = KeyList(keys=keys, indices=listed.indices)
    places = [(0, listed), (48, wrong)][:: 1 if side else -1]
    jobs = [map_job(geometry, *places, 1), map_job(geometry, (0, listed), (0, listed), 1)]
    run = rtl_mapper(geometry, dict(places), [0], jobs)
    assert run.disordered == [True, False]


@pytest.mark.parametrize("pause", [0.0, 0.5])
def test_loading_beside_a_job_and_reading_one_after_the_other(pause: float) -> None:
    """Words that are loaded while a sort writes arrive, and requests need not wait for the word before."""
    geometry = geometry_of(2, words=128)
    ((base, listed),) = lists_of(geometry, (40,), seed=3)
    dut = Mapper(geometry)
    bench = Bench(dut, 5)
    others = [bench.random.getrandbits(word_layout(geometry).size) for _ in range(15)]
    transfers = [
        {"target": MapperTarget.KEYS, "address": 80 + index, "data": word} for index, word in enumerate(others)
    ]
    job = {"sort": 1, "a_base": base, "a_count": 40, "kept": -1 % (1 << geometry.key_bits), "target": 30, "spare": 55}

    async def first(ctx: Any) -> None:
        for at, word in enumerate(words_of(listed, geometry)):
            ctx.set(dut.load.payload, {"target": MapperTarget.KEYS, "address": base + at, "data": word})
            ctx.set(dut.load.valid, 1)
            await ctx.tick().until(dut.load.ready)
        ctx.set(dut.load.valid, 0)
        ctx.set(dut.start.payload, job)
        ctx.set(dut.start.valid, 1)
        await ctx.tick().until(dut.start.ready)
        ctx.set(dut.start.valid, 0)

    addresses = [*range(30, 50), *range(80, 95)]

    async def read(ctx: Any) -> None:
        for address in addresses:
            while bench.random.random() < pause:
                await ctx.tick()
            ctx.set(dut.read.payload, address)
            ctx.set(dut.read.valid, 1)
            await ctx.tick().until(dut.read.ready)
            assert len(loaded.cycles) == len(others), "the sort ended before all was loaded"
            ctx.set(dut.read.valid, 0)

    bench.first(first)
    # Slowly, so that several passes of the sort meet some.
    loaded = bench.feed(dut.load, transfers, 0.5)
    bench.add(read)
    done = bench.watch(dut.done, dut.done)
    result = bench.drain(dut.result, len(addresses), pause)
    bench.run()
    (end,) = done.cycles
    assert sum(cycle < end for cycle in loaded.cycles) == len(others)
    words = [word_layout(geometry).const(value).as_value().value for value in result.values]
    assert words[:20] == words_of(sort_keys(listed), geometry)
    assert words[20:] == others
