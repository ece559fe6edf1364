from itertools import chain
from random import Random
from typing import Any

import pytest
from support.bench import Bench, Transfers, geometry

from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.layouts import Activity
from zeroskip.rtl.eie.lookahead import LookAhead

Word = dict[str, Any]
"""Fields of a word_layout."""


def word(geometry: EieGeometry, codes: list[int], random: Random, *, low: int, first: bool) -> Word:
    """`codes` stand from `low` to `high`; around them are zeros."""
    entries = [{"skip": 0, "code": 0} for _ in range(geometry.entries_per_word)]
    for e, code in enumerate(codes, start=low):
        entries[e] = {"skip": random.getrandbits(geometry.index_bits), "code": code}
    return {
        "value": random.randrange(-(1 << 15), 1 << 15),
        "first": first,
        "low": low if first else random.randrange(geometry.entries_per_word),
        "weights": sum((entry["code"] != 0) << e for e, entry in enumerate(entries)),
        "entries": entries,
    }


def some_words(geometry: EieGeometry, seed: int) -> list[Word]:
    """Columns of one to three words; padding stands anywhere, and at times fills a word."""
    random, size, words = Random(seed), geometry.entries_per_word, []
    for _ in range(50):
        length = random.randint(1, 3)
        for index in range(length):
            low = random.randrange(size) if index == 0 else 0
            high = random.randint(low, size - 1) if index == length - 1 else size - 1
            density = random.choice([0.0, 0.3, 0.7, 1.0])
            codes = [
                random.randint(1, geometry.codebook_size - 1) * (random.random() < density)
                for _ in range(high - low + 1)
            ]
            words.append(word(geometry, codes, random, low=low, first=index == 0))
    return words


def rtl_lookahead(
    geometry: EieGeometry, words: list[Word], *, seed: int, pause: float
) -> tuple[Transfers, Transfers, list[Activity]]:
    """Words as they are taken, updates, and the activity in each cycle."""
    dut = LookAhead(geometry)
    bench = Bench(dut, seed)
    taken, updates = bench.feed(dut.i, words, pause), bench.watch(dut.o.valid, dut.o.payload)
    activity = bench.trace(dut.activity)
    bench.run(settle=geometry.entries_per_word + 3)
    return taken, updates, [state for (state,) in activity]


def expected(geometry: EieGeometry, words: list[Word]) -> list[list[dict[str, int]]]:
    """The updates of each word."""
    rows = 1 << bits_for(geometry.activation_rows)
    updates: list[list[dict[str, int]]] = []
    row = -1
    for word in words:
        if word["first"]:
            row = -1
        updates.append([])
        for entry in word["entries"][word["low"] * word["first"] :]:
            row += entry["skip"] + 1
            if entry["code"]:
                updates[-1].append({"value": word["value"], "code": entry["code"], "row": row % rows})
    return updates


GEOMETRIES = [
    geometry(entries_per_word=8),
    geometry(entries_per_word=2, index_bits=2, code_bits=6),
    geometry(entries_per_word=1, code_bits=1),
    geometry(entries_per_word=16, index_bits=8, activation_rows=1024),
]
each_geometry = pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: f"{g.entries_per_word} entries")


@each_geometry
@pytest.mark.parametrize("pause", [0.0, 0.5, 0.9])
def test_updates(geometry: EieGeometry, pause: float) -> None:
    words = some_words(geometry, seed=1)
    _, updates, activity = rtl_lookahead(geometry, words, seed=2, pause=pause)
    wanted = expected(geometry, words)
    assert updates.values == list(chain(*wanted))
    assert [cycle for cycle, state in enumerate(activity) if state == Activity.BUSY] == updates.cycles
    assert activity.count(Activity.PADDING) <= wanted.count([])


@each_geometry
def test_one_update_a_cycle_and_padding_passes_beside_it(geometry: EieGeometry) -> None:
    words = some_words(geometry, seed=3)
    taken, updates, activity = rtl_lookahead(geometry, words, seed=4, pause=0.0)
    # A word with weights is taken in the last cycle of that before it, one of padding alone as soon as it comes.
    takes, issues, cycle, end = [], [], 0, 0
    for updates_of_word in expected(geometry, words):
        if updates_of_word:
            cycle = max(cycle, end)
            end = cycle + len(updates_of_word)
            issues += range(cycle + 2, end + 2)
        takes.append(cycle)
        cycle += 1
    assert taken.cycles == takes
    assert updates.cycles == issues
    padding = {take + 2 for take, word in zip(takes, expected(geometry, words), strict=True) if not word}
    for at, state in enumerate(activity):
        assert state == (Activity.BUSY if at in set(issues) else Activity.PADDING if at in padding else Activity.IDLE)


@pytest.mark.parametrize("codes", [[0, 0, 5, 6], [5, 0, 0, 6], [5, 6, 0, 0], [0, 5, 0, 0], [5, 6, 7, 8], [0, 0, 0, 0]])
def test_padding_costs_nothing_beside_a_weight(codes: list[int]) -> None:
    small, random = geometry(entries_per_word=8), Random(5)
    words = [word(small, codes, random, low=2, first=True) for _ in range(3)]
    _, updates, activity = rtl_lookahead(small, words, seed=6, pause=0.0)
    assert updates.values == list(chain(*expected(small, words)))
    assert sum(state == Activity.BUSY for state in activity) == 3 * sum(code != 0 for code in codes)
    assert sum(state == Activity.PADDING for state in activity) == (0 if any(codes) else 3)
