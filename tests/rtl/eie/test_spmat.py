from random import Random
from typing import Any

import numpy as np
import pytest
from support.bench import Bench, Transfers, geometry, load

from zeroskip.model.eie.format import pack_words
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.spmat import SparseMatrixRead

Entries = list[dict[str, int]]
Column = dict[str, int]


def some_entries(geometry: EieGeometry, seed: int) -> Entries:
    random = Random(seed)
    return [
        {"skip": random.getrandbits(geometry.index_bits), "code": random.getrandbits(geometry.code_bits)}
        for _ in range(geometry.entries)
    ]


def some_columns(geometry: EieGeometry, seed: int) -> list[Column]:
    """Columns of one entry to several words anywhere in the memory, among them its first and its last entries."""
    random = Random(seed)
    bounds = [(0, 1), (0, geometry.entries), (geometry.entries - 1, geometry.entries)]
    for _ in range(60):
        begin = random.randrange(geometry.entries)
        length = random.choice([1, random.randint(1, geometry.entries_per_word), random.randint(1, geometry.entries)])
        bounds.append((begin, min(begin + length, geometry.entries)))
    random.shuffle(bounds)
    return [{"value": random.randrange(-(1 << 15), 1 << 15), "begin": b, "last": e - 1} for b, e in bounds]


def rtl_spmat(
    geometry: EieGeometry, entries: Entries, columns: list[Column], *, seed: int, i_pause: float, o_pause: float
) -> tuple[Transfers, Transfers]:
    """The columns as they are taken and the words that come out; cycle 0 is the first after loading."""
    dut = SparseMatrixRead(geometry)
    bench = Bench(dut, seed)
    words = pack_words(
        np.array([entry["code"] for entry in entries], np.uint8),
        np.array([entry["skip"] for entry in entries], np.uint8),
        geometry,
    )
    images = [int.from_bytes(word.tobytes(), "little") for word in words]

    async def loading(ctx: Any) -> None:
        await load(ctx, dut.load, images)

    bench.first(loading)
    taken = bench.feed(dut.i, columns, i_pause)
    given = bench.drain(dut.o, len(expected(geometry, entries, columns)), o_pause)
    bench.run(settle=3)
    return taken, given


def expected(geometry: EieGeometry, entries: Entries, columns: list[Column]) -> list[dict[str, Any]]:
    size, words = geometry.entries_per_word, []
    for column in columns:
        first, last = column["begin"] // size, column["last"] // size
        for word in range(first, last + 1):
            of_word = range(word * size, (word + 1) * size)
            held = [entries[e] if column["begin"] <= e <= column["last"] else {"skip": 0, "code": 0} for e in of_word]
            words.append(
                {
                    "value": column["value"],
                    "first": word == first,
                    "low": column["begin"] % size,
                    "weights": sum((entry["code"] != 0) << e for e, entry in enumerate(held)),
                    "entries": held,
                }
            )
    return words


GEOMETRIES = [
    geometry(entries_per_word=8, entry_words=8),
    geometry(entries_per_word=2, entry_words=11, index_bits=3, code_bits=6),
    geometry(entries_per_word=1, entry_words=16),
    geometry(entries_per_word=4, entry_words=1),
]


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: f"{g.entry_words}x{g.entries_per_word}")
@pytest.mark.parametrize("pauses", [(0.5, 0.5), (0.0, 0.6), (0.6, 0.0)])
def test_words_of_each_column(geometry: EieGeometry, pauses: tuple[float, float]) -> None:
    entries, columns = some_entries(geometry, seed=1), some_columns(geometry, seed=2)
    _, words = rtl_spmat(geometry, entries, columns, seed=3, i_pause=pauses[0], o_pause=pauses[1])
    assert words.values == expected(geometry, entries, columns)


@pytest.mark.parametrize("geometry", GEOMETRIES, ids=lambda g: f"{g.entry_words}x{g.entries_per_word}")
def test_one_word_a_cycle_after_two_cycles(geometry: EieGeometry) -> None:
    entries, columns = some_entries(geometry, seed=4), some_columns(geometry, seed=5)
    taken, words = rtl_spmat(geometry, entries, columns, seed=6, i_pause=0.0, o_pause=0.0)
    wanted = expected(geometry, entries, columns)
    assert words.values == wanted
    assert words.cycles == list(range(2, len(wanted) + 2))
    # A column leaves in the cycle in which its last word is read: that before the word comes out.
    ends = [cycle for cycle, word in enumerate(wanted, start=1) if word is wanted[-1] or wanted[cycle]["first"]]
    assert taken.cycles == [cycle - 1 for cycle in ends]
