# amaranth: UnusedElaboratable=no
# (one that is refused is never elaborated)
"""The parts of the mapping unit, each by itself, with random pauses on both sides."""

from __future__ import annotations

from itertools import chain, pairwise
from random import Random
from typing import Any

import numpy as np
import pytest
from support.bench import Bench, Transfers

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.block_sorter import BlockSorter
from zeroskip.rtl.mapping.distances import Distances
from zeroskip.rtl.mapping.layouts import stored_layout, triple_layout, word_layout
from zeroskip.rtl.mapping.least_distances import LeastDistances
from zeroskip.rtl.mapping.least_entry import LeastEntry
from zeroskip.rtl.mapping.matcher import Matcher
from zeroskip.rtl.mapping.merger import Merger
from zeroskip.rtl.mapping.packer import Packer
from zeroskip.rtl.mapping.ranker import Ranker
from zeroskip.rtl.mapping.reader import Reader
from zeroskip.rtl.mapping.thinner import Thinner

Entry = tuple[int, int, int, int]
"""absent, key, source, index: their order as tuples is that of the unit."""
Block = dict[str, Any]

PAUSES = [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.3, 0.5)]
WIDTHS = [1, 2, 8]


def geometry_of(width: int) -> MapperGeometry:
    return MapperGeometry(width=width, dims=1, coordinate_bits=8, batch_bits=2, index_bits=7, words=32, offsets=9)


def block(entries: list[Entry], *, last: bool, final: bool) -> Block:
    names = ("absent", "key", "source", "index")
    return {"entries": [dict(zip(names, entry, strict=True)) for entry in entries], "last": last, "final": final}


def entries_of(blocks: list[Block]) -> list[Entry]:
    return [(e["absent"], e["key"], e["source"], e["index"]) for one in blocks for e in one["entries"]]


def blocks_of(entries: list[Entry], width: int, *, final: bool = True) -> list[Block]:
    """A run; its last block is filled up with absent entries, an empty one is a block of them."""
    padded = entries + [(1, 0, 0, 0)] * (-len(entries) % width or (0 if entries else width))
    parts = [padded[first : first + width] for first in range(0, len(padded), width)]
    return [
        block(part, last=index == len(parts) - 1, final=final and index == len(parts) - 1)
        for index, part in enumerate(parts)
    ]


def some_entries(random: Random, count: int, *, keys: int = 60) -> list[Entry]:
    return [(0, random.randrange(keys), random.randrange(2), random.randrange(128)) for _ in range(count)]


def plain_block(value: Any) -> Block:
    return {
        "entries": [{name: int(field) for name, field in entry.items()} for entry in value["entries"]],
        "last": bool(value["last"]),
        "final": bool(value["final"]),
    }


def through(dut: Any, blocks: list[Block], seed: int, pauses: tuple[float, float]) -> tuple[list[Any], Transfers]:
    """What leaves at `o` for these blocks at `i`, one for one."""
    bench = Bench(dut, seed)
    into = bench.feed(dut.i, blocks, pauses[0])
    out = bench.drain(dut.o, len(blocks), pauses[1])
    bench.run()
    if pauses == (0.0, 0.0):
        # One a cycle, so many cycles later.
        assert out.cycles == [cycle + dut.latency for cycle in into.cycles]
        assert into.cycles == list(range(len(blocks)))
    return out.values, out


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
def test_block_sorter(width: int, pauses: tuple[float, float]) -> None:
    random = Random(width)
    blocks = []
    for index in range(30):
        entries = [(random.randrange(2), *entry[1:]) for entry in some_entries(random, width, keys=8)]
        blocks.append(block(entries, last=index % 3 == 0, final=index % 7 == 0))
    made, _ = through(BlockSorter(geometry_of(width)), blocks, width, pauses)
    for found, given in zip(map(plain_block, made), blocks, strict=True):
        assert entries_of([found]) == sorted(entries_of([given]))
        assert (found["last"], found["final"]) == (given["last"], given["final"])


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
def test_merger(width: int, pauses: tuple[float, float]) -> None:
    """Pairs of runs of any length in two passes; each merged run has as many blocks as its pair."""
    random = Random(width)
    geometry = geometry_of(width)
    sizes = [(0, 0), (1, 0), (0, 20), (20, 3), (17, 17), (3, 30), (8, 8), (25, 1), (12, 12)]
    sides: tuple[list[Block], list[Block]] = ([], [])
    expected, ends = [], []
    for index, pair in enumerate(sizes):
        runs = [sorted(some_entries(random, size)) for size in pair]
        final = index in (4, len(sizes) - 1)
        before = sum(map(len, sides))
        for side, run in zip(sides, runs, strict=True):
            side += blocks_of(run, width, final=final)
        expected.append(sorted(runs[0] + runs[1]))
        ends.append((sum(map(len, sides)) - before, final))
    dut = Merger(geometry)
    bench = Bench(dut, width)
    for port, side in zip((dut.a, dut.b), sides, strict=True):
        bench.feed(port, side, pauses[0])
    out = bench.drain(dut.o, sum(map(len, sides)), pauses[1])
    bench.run()

    made = [plain_block(value) for value in out.values]
    for (count, final), run in zip(ends, expected, strict=True):
        own, made = made[:count], made[count:]
        assert [one["last"] for one in own] == [False] * (count - 1) + [True]
        assert [one["final"] for one in own] == [False] * (count - 1) + [final]
        found = entries_of(own)
        assert found[: len(run)] == run
        assert all(entry[0] for entry in found[len(run) :])
    if pauses == (0.0, 0.0):
        # Without a gap, also between pairs and passes.
        assert out.cycles == [dut.latency + place for place in range(len(out.cycles))]


def merged_runs(random: Random, width: int, *, sizes: list[int]) -> list[list[Entry]]:
    """Strictly increasing runs in which many keys have both sources."""
    runs = []
    for size in sizes:
        picked = {(0, key, source) for _, key, source, _ in some_entries(random, size, keys=max(2, size))}
        runs.append([(*entry, random.randrange(128)) for entry in sorted(picked)])
    return runs


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
def test_matcher(width: int, pauses: tuple[float, float]) -> None:
    random = Random(width)
    geometry = geometry_of(width)
    runs = merged_runs(random, width, sizes=[30, 0, 1, 17, 40])
    blocks = [one for index, run in enumerate(runs) for one in blocks_of(run, width, final=index == len(runs) - 1)]
    dut = Matcher(geometry)
    made, _ = through(dut, blocks, width, pauses)

    found = []
    for value in made:
        slots = [(int(v["offset"]), int(v["input"]), int(v["output"])) for v in value["values"]]
        found += [slot for index, slot in enumerate(slots) if value["valid"] >> index & 1]
    expected = [(number, x[3], y[3]) for number, run in enumerate(runs) for x, y in pairwise(run) if x[1] == y[1]]
    assert len(expected) > 10
    assert found == expected
    assert [bool(value["final"]) for value in made] == [False] * (len(made) - 1) + [True]


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize(("first", "second"), [((0, 9, 0, 1), (0, 9, 0, 2)), ((0, 9, 1, 1), (0, 9, 0, 2))])
@pytest.mark.parametrize("at", range(3))
def test_matcher_reports_what_does_not_increase(width: int, first: Entry, second: Entry, at: int) -> None:
    """A source twice, or the input after the output, within a block and across two; and clears the flag."""
    below = [(0, key, 1, 0) for key in range(at + width - 2 if width > 1 else at)]
    run = [*below, first, second, (0, 30, 0, 0)]
    dut = Matcher(geometry_of(width))
    bench = Bench(dut)
    blocks = blocks_of(run, width)
    bench.feed(dut.i, blocks_of([(0, 5, 0, 0), (0, 5, 1, 0)], width) + blocks)
    bench.drain(dut.o, len(blocks_of(run[:2], width)) + len(blocks))
    trace = bench.trace(dut.disordered)
    bench.run(settle=3)
    assert trace[0] == (0,)
    assert trace[-1] == (1,)
    assert sorted(trace) == trace


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("unique", [0, 1])
def test_thinner(width: int, unique: int, pauses: tuple[float, float]) -> None:
    random = Random(width)
    runs = [sorted(some_entries(random, size, keys=12)) for size in (25, 0, 1, 18)]
    blocks = [one for run in runs for one in blocks_of(run, width)]
    dut = Thinner(geometry_of(width))
    bench = Bench(dut, width)

    async def setting(ctx: Any) -> None:
        ctx.set(dut.unique, unique)

    bench.first(setting)
    into = bench.feed(dut.i, blocks, pauses[0])
    out = bench.drain(dut.o, len(blocks), pauses[1])
    bench.run()
    found = [
        (int(v["key"]), int(v["index"]))
        for value in out.values
        for lane, v in enumerate(value["values"])
        if value["valid"] >> lane & 1
    ]
    expected = [
        (key, index)
        for run in runs
        for place, (_, key, _, index) in enumerate(run)
        if not unique or place == 0 or run[place - 1][1] != key
    ]
    assert found == expected
    if pauses == (0.0, 0.0):
        assert out.cycles == [cycle + 1 for cycle in into.cycles]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("lanes", [1, 2, 4, 8])
def test_packer(lanes: int, pauses: tuple[float, float]) -> None:
    """Four passes, of which one is empty; `done` comes after each, when all of it has left."""
    random = Random(lanes)
    passes = []
    for blocks, density in ((20, 0.5), (3, 0.0), (12, 1.0), (15, 0.2)):
        passes.append(
            [
                [random.randrange(256) if random.random() < density else None for _ in range(lanes)]
                for _ in range(blocks)
            ]
        )
    words = [
        {
            "values": [value if value is not None else random.randrange(256) for value in one],
            "valid": sum((value is not None) << lane for lane, value in enumerate(one)),
            "final": index == len(blocks) - 1,
        }
        for blocks in passes
        for index, one in enumerate(blocks)
    ]
    valid = [[value for one in blocks for value in one if value is not None] for blocks in passes]
    dut = Packer(shape=8, lanes=lanes)
    bench = Bench(dut, lanes)
    into = bench.feed(dut.i, words, pauses[0])
    out = bench.drain(dut.o, sum(-(-len(values) // lanes) for values in valid), pauses[1])
    done = bench.watch(dut.done, dut.done)
    bench.run(settle=8)

    found = [(value["count"], list(value["values"])[: value["count"]]) for value in out.values]
    expected = [values[first : first + lanes] for values in valid for first in range(0, len(values), lanes)]
    assert found == [(len(part), part) for part in expected]
    assert len(done.cycles) == len(passes)
    left = 0
    ends = np.cumsum([len(blocks) for blocks in passes]) - 1
    for cycle, values, end in zip(done.cycles, valid, ends, strict=True):
        left += -(-len(values) // lanes)
        assert left == 0 or out.cycles[left - 1] <= cycle
        assert left == len(out.cycles) or cycle < out.cycles[left]
        if pauses[1] == 0:
            assert cycle == into.cycles[end] + dut.latency


def test_packer_needs_a_power_of_two() -> None:
    with pytest.raises(ValueError, match="lanes must be a power of two, not 3"):
        Packer(shape=8, lanes=3)


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
def test_reader(width: int, pauses: tuple[float, float]) -> None:
    geometry = geometry_of(width)
    random = Random(width)
    dut = Reader(geometry)
    bench = Bench(dut, width)
    everything = (1 << geometry.key_bits) - 1
    stored = [
        [(random.randrange(everything + 1), random.randrange(128)) for _ in range(width)] for _ in range(geometry.words)
    ]
    runs = []
    for first, end in ((0, 1), (2, 7), (9, 10), (0, 12), (11, 14)):
        for final in (0, 1):
            runs.append(
                {
                    "base": random.randrange(16),
                    "count": random.randrange(10 * width, 13 * width),
                    "first": first,
                    "end": end,
                    "kept": random.choice([everything, everything - 7]),
                    "shift": random.choice([0, 5, everything]),
                    "source": final,
                    "final": final,
                }
            )
    blocks = sum(run["end"] - run["first"] for run in runs)

    async def remember(ctx: Any) -> None:
        """The memory: shows a word in the cycle after it was asked for, and keeps it."""
        while True:
            _, _, asked, address = await ctx.tick().sample(dut.memory.en, dut.memory.addr)
            if asked:
                words = [{"key": key, "index": index} for key, index in stored[address]]
                ctx.set(dut.memory.data, word_layout(geometry).const(words))

    bench.simulator.add_testbench(remember, background=True)
    into = bench.feed(dut.run, runs, pauses[0])
    out = bench.drain(dut.o, blocks, pauses[1])
    bench.run()

    expected = []
    for run in runs:
        for at in range(run["first"], run["end"]):
            entries = [
                (
                    int(at * width + lane >= run["count"]),
                    ((key & run["kept"]) + run["shift"]) & everything,
                    run["source"],
                    i,
                )
                for lane, (key, i) in enumerate(stored[run["base"] + at])
            ]
            last = at == run["end"] - 1
            expected.append(block(entries, last=last, final=last and bool(run["final"])))
    assert [plain_block(value) for value in out.values] == expected
    if pauses == (0.0, 0.0):
        assert out.cycles == [into.cycles[0] + dut.latency + place for place in range(blocks)]


def test_layouts_hold_their_words() -> None:
    """An entry is compared as one number: its fields stand in the order of their weight."""
    geometry = geometry_of(4)
    assert stored_layout(geometry).size == geometry.key_bits + geometry.index_bits
    assert triple_layout(geometry).size == 4 + 2 * geometry.index_bits


def ranked_runs(random: Random, width: int, sizes: list[int]) -> list[list[list[Entry]]]:
    """Runs of sorted blocks, which need not follow each other in order."""
    return [
        [sorted((random.randrange(2), *entry[1:]) for entry in some_entries(random, width)) for _ in range(size)]
        for size in sizes
    ]


def in_turn(runs: list[list[list[Entry]]], *, final: bool = True) -> list[Block]:
    """The blocks of runs of one length that take turns."""
    ends = len(runs[0]) - 1
    return [
        {
            **block(run[place], last=place == ends, final=final and place == ends and run is runs[-1]),
            "begins": place == 0,
        }
        for place in range(ends + 1)
        for run in runs
    ]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
def test_ranker(width: int, pauses: tuple[float, float]) -> None:
    """As many runs as take turns, fewer, and one; of one block, too."""
    random = Random(width)
    dut = Ranker(geometry_of(width))
    most = dut.geometry.together
    groups = [
        ranked_runs(random, width, [size] * count) for count, size in ((most, 6), (most, 1), (most - 1, 4), (1, 9))
    ]
    blocks = [one for runs in groups for one in in_turn(runs, final=len(runs) != most)]
    bench = Bench(dut, width)
    into = bench.feed(dut.i, blocks, pauses[0])
    out = bench.drain(dut.o, sum(map(len, groups)), pauses[1])
    bench.run(settle=5)
    made = [plain_block(value) for value in out.values]
    expected = [sorted(chain(*run))[:width] for runs in groups for run in runs]
    assert [entries_of([one]) for one in made] == expected
    assert [one["last"] for one in made] == [True] * len(expected)
    assert [one["final"] for one in made] == [run is runs[-1] and len(runs) != most for runs in groups for run in runs]
    if pauses == (0.0, 0.0):
        full = 7 * most
        assert into.cycles[:full] == [*range(full)]
        assert out.cycles[0] == into.cycles[5 * most] + dut.latency
        # Fewer: a block of each run in as many cycles as it takes to come round.
        assert into.cycles[-1] == into.cycles[-9] + 8 * most
        assert out.cycles[-1] == into.cycles[-1] + dut.latency


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
def test_least_entry(width: int, pauses: tuple[float, float]) -> None:
    random = Random(width)
    runs = ranked_runs(random, width, [1, 5, 2, 1, 7])
    dut = LeastEntry(geometry_of(width))
    bench = Bench(dut, width)
    into = bench.feed(dut.i, [one for run in runs for one in in_turn([run], final=run is runs[2])], pauses[0])
    out = bench.drain(dut.o, len(runs), pauses[1])
    bench.run(settle=5)
    made = [plain_block(value) for value in out.values]
    assert [entries_of([one])[0] for one in made] == [min(chain(*run)) for run in runs]
    assert [one["last"] for one in made] == [True] * len(runs)
    assert [one["final"] for one in made] == [run is runs[2] for run in runs]
    if pauses == (0.0, 0.0):
        assert into.cycles == [*range(16)]
        assert out.cycles == [end + dut.latency - 1 for end in np.cumsum([1, 5, 2, 1, 7])]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("dims", [2, 3, 4])
def test_distances(dims: int, pauses: tuple[float, float]) -> None:
    """Of points less than half of the range away, also at its ends; those of other batches are absent."""
    geometry = MapperGeometry(width=4, dims=dims, coordinate_bits=6, batch_bits=3, index_bits=7, reach=1)
    random, half = Random(dims), 32
    blocks, expected = [], []
    for _ in range(30):
        entries = []
        for index in range(4):
            query = [random.randrange(8), *(random.randrange(64) for _ in range(dims))]
            moves = [random.choice([0, 0, 1, -1, 7]) if random.random() < 0.3 else 0]
            moves += [random.choice([random.randint(-31, 31), 0, 31, -32, 1]) for _ in range(dims)]
            point = [q + d for q, d in zip(query, moves, strict=True)]
            if not 0 <= point[0] < 8 or not all(0 <= c < 64 for c in point[1:]):
                point, moves = query, [0] * (dims + 1)
            keys = []
            for values in (point, query):
                key = 0
                for value in values:
                    key = key * 2 * half + value
                keys.append(key)
            difference = (keys[0] - keys[1]) % (1 << geometry.key_bits)
            absent = random.randrange(4) == 0
            entries.append((int(absent), difference, 0, index))
            squared = sum(d * d for d in moves[1:])
            expected.append(None if absent or moves[0] or squared > 1500 else (squared, index))
        blocks.append(block(entries, last=random.random() < 0.3, final=False))
    dut = Distances(geometry)
    bench = Bench(dut, dims)

    async def setting(ctx: Any) -> None:
        ctx.set(dut.limit, 1500)

    bench.first(setting)
    into = bench.feed(dut.i, blocks, pauses[0])
    out = bench.drain(dut.o, len(blocks), pauses[1])
    bench.run()
    made = [plain_block(value) for value in out.values]
    assert [None if absent else (key, index) for absent, key, _, index in entries_of(made)] == expected
    assert [one["last"] for one in made] == [one["last"] for one in blocks]
    assert sum(one is not None for one in expected) > 30
    if pauses == (0.0, 0.0):
        assert out.cycles == [cycle + dut.latency for cycle in into.cycles]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("first", [0, 1])
def test_least_distances(width: int, first: int, pauses: tuple[float, float]) -> None:
    """Two passes; each stores its words from `base` on."""
    random = Random(width)
    geometry = geometry_of(width)
    new, old = ([some_entries(random, width, keys=1 << geometry.key_bits) for _ in range(14)] for _ in range(2))
    ends = [6, 13]
    sides = [[block(one, last=i in ends, final=i in ends) for i, one in enumerate(side)] for side in (new, old)]
    dut = LeastDistances(geometry)
    bench = Bench(dut, width)

    async def setting(ctx: Any) -> None:
        ctx.set(dut.first, first)
        ctx.set(dut.base, 20)

    bench.first(setting)
    into = bench.feed(dut.i, sides[0], pauses[0])
    bench.feed(dut.before, sides[1], pauses[0])
    out = bench.drain(dut.o, len(new), pauses[1])
    stored = bench.watch(dut.write.en, dut.write.addr, dut.write.data)
    bench.run()

    top = (1 << geometry.key_bits) - 1
    least = [
        [x[1] if first else min(x[1], y[1]) for x, y in zip(*pair, strict=True)] for pair in zip(new, old, strict=True)
    ]
    made = [plain_block(value) for value in out.values]
    pairs = [pair for one, keys in zip(new, least, strict=True) for pair in zip(one, keys, strict=True)]
    assert entries_of(made) == [(x[0], top - key, x[2], x[3]) for x, key in pairs]
    assert [one["final"] for one in made] == [one["final"] for one in sides[0]]
    assert [address for address, _ in stored.values] == [*range(20, 27), *range(20, 27)]
    assert [[value["key"] for value in words] for _, words in stored.values] == least
    assert stored.cycles == into.cycles
    if pauses == (0.0, 0.0):
        assert out.cycles == [cycle + dut.latency for cycle in into.cycles]
