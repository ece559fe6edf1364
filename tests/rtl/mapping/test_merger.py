"""The merger by itself, at every width, with lists as the unit has them, and with lists that are not sorted."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from support.bench import Bench

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.mapping.merger import Merger
from zeroskip.rtl.mapping.skid import Skid

Entry = tuple[int, int, int, int]
"""absent, key, source, index: their order as tuples is that of the unit."""

WIDTHS = [1, 2, 4, 8, 16, 32, 64]
PAUSES = [(0.0, 0.0), (0.4, 0.0), (0.0, 0.4), (0.3, 0.5)]


def geometry_of(width: int) -> MapperGeometry:
    return MapperGeometry(width=width, dims=1, coordinate_bits=8, batch_bits=2, index_bits=7, words=32, offsets=9)


def run_of(random: Random, width: int, entries: list[Entry]) -> list[list[Entry]]:
    """The blocks of a run. What fills the last one is absent, and holds anything in no order."""
    missing = -len(entries) % width or (0 if entries else width)
    filled = entries + [(1, random.randrange(1024), random.randrange(2), random.randrange(128)) for _ in range(missing)]
    return [filled[first : first + width] for first in range(0, len(filled), width)]


def payloads(runs: list[list[list[Entry]]]) -> list[dict[str, Any]]:
    """Runs as the merger takes them; the last one ends the pass."""
    names = ("absent", "key", "source", "index")
    return [
        {
            "entries": [dict(zip(names, entry, strict=True)) for entry in one],
            "last": one is run[-1],
            "final": one is run[-1] and run is runs[-1],
        }
        for run in runs
        for one in run
    ]


def merged(
    width: int, a: list[list[list[Entry]]], b: list[list[list[Entry]]], pauses: tuple[float, float, float]
) -> tuple[list[list[Entry]], list[int]]:
    """The entries of each merged run, and the cycles in which blocks left, less the latency. The sides that rest are
    list a, list b and what leaves."""
    dut = Merger(geometry_of(width))
    bench = Bench(dut, width)
    sides = payloads(a), payloads(b)
    for port, side, pause in zip((dut.a, dut.b), sides, pauses[:2], strict=True):
        bench.feed(port, side, pause)
    out = bench.drain(dut.o, sum(map(len, sides)), pauses[2])
    bench.run(settle=3)
    runs: list[list[Entry]] = [[]]
    for value in out.values:
        runs[-1] += [(e["absent"], e["key"], e["source"], e["index"]) for e in value["entries"]]
        if value["last"]:
            runs.append([])
    assert runs.pop() == []
    assert [value["final"] for value in out.values] == [0] * (len(out.values) - 1) + [1]
    return runs, [cycle - dut.latency for cycle in out.cycles]


def random_entries(random: Random, count: int, keys: int) -> list[Entry]:
    return [(0, random.randrange(keys), random.randrange(2), random.randrange(128)) for _ in range(count)]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", WIDTHS)
def test_every_width(width: int, pauses: tuple[float, float]) -> None:
    """Pairs of runs of many lengths; many entries have equal keys, and some are equal altogether."""
    random = Random(width)
    most = 70 if width < 16 else 5 * width
    sizes = [(0, 0), (1, 0), (0, most)] + [(random.randrange(most), random.randrange(most)) for _ in range(6)]
    entries = [[sorted(random_entries(random, size, 40)) for size in pair] for pair in sizes]
    a, b = ([run_of(random, width, pair[side]) for pair in entries] for side in range(2))
    found, cycles = merged(width, a, b, (pauses[0], *pauses))
    assert [[entry for entry in run if not entry[0]] for run in found] == [sorted(x + y) for x, y in entries]
    # What is absent stands at the end.
    assert all([entry[0] for entry in run] == sorted(entry[0] for entry in run) for run in found)
    assert [len(run) // width for run in found] == [len(x) + len(y) for x, y in zip(a, b, strict=True)]
    if pauses == (0.0, 0.0):
        assert cycles == [*range(len(cycles))]


@pytest.mark.parametrize("late", [0, 1])
@pytest.mark.parametrize("width", [1, 2, 4])
def test_one_list_comes_late(width: int, late: int) -> None:
    """Its next run comes while a long one of the other list leaves, and waits until then."""
    random = Random(width)
    sizes = [[random.randrange(4, 12) * width, random.randrange(4, 12) * width] for _ in range(25)]
    for pair in sizes:
        pair[late] = random.choice([1, width])
    entries = [[sorted(random_entries(random, size, 900)) for size in pair] for pair in sizes]
    a, b = ([run_of(random, width, pair[side]) for pair in entries] for side in range(2))
    pauses = (0.0, 0.8, 0.0) if late else (0.8, 0.0, 0.0)
    found, _ = merged(width, a, b, pauses)
    assert [[entry for entry in run if not entry[0]] for run in found] == [sorted(x + y) for x, y in entries]


@pytest.mark.parametrize("pauses", PAUSES)
@pytest.mark.parametrize("width", [1, 2, 8])
@pytest.mark.parametrize("order", ["none", "falls", "blocks fall", "lanes differ"])
def test_lists_that_are_not_sorted(width: int, order: str, pauses: tuple[float, float]) -> None:
    """Nothing hangs, nothing is lost and nothing comes twice; the next pair is right again."""
    random = Random(width)
    wrong = [random_entries(random, size * width, 1000) for size in (9, 14)]
    if order == "falls":
        wrong = [sorted(side, reverse=True) for side in wrong]
    elif order == "blocks fall":
        wrong = [
            [e for first in reversed(range(0, len(side), width)) for e in sorted(side)[first : first + width]]
            for side in wrong
        ]
    elif order == "lanes differ":
        # One lane would take all of list a first, the next one all of list b.
        wrong = [
            [(0, 500 * ((place % width + number) % 2) + place, *entry[2:]) for place, entry in enumerate(side)]
            for number, side in enumerate(wrong)
        ]
    right = [sorted(random_entries(random, 25, 40)) for _ in range(2)]
    a, b = ([run_of(random, width, run) for run in pair] for pair in zip(wrong, right, strict=True))
    found, _ = merged(width, a, b, (pauses[0], *pauses))
    assert sorted(found[0]) == sorted(wrong[0] + wrong[1])
    assert [entry for entry in found[1] if not entry[0]] == sorted(right[0] + right[1])


@pytest.mark.parametrize("pauses", PAUSES)
def test_skid(pauses: tuple[float, float]) -> None:
    random = Random(1)
    given = [random.randrange(256) for _ in range(100)]
    dut = Skid(8)
    bench = Bench(dut, 1)
    into = bench.feed(dut.i, given, pauses[0])
    out = bench.drain(dut.o, len(given), pauses[1])
    bench.run()
    assert out.values == given
    if pauses == (0.0, 0.0):
        assert out.cycles == [cycle + dut.latency for cycle in into.cycles]
        assert into.cycles == [*range(len(given))]
