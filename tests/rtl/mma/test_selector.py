import itertools
from random import Random
from typing import Any

import pytest
from support.bench import evaluate, plain

from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern
from zeroskip.rtl.mma.selector import Selector

PATTERNS = ["1:2", "1:4", "1:16", "2:4", "2:8", "4:8", "2:4 pairs", "4:8 pairs", "4:16 pairs"]


def small(text: str, groups: int = 2) -> TileGeometry:
    pattern = Pattern.parse(text)
    sizes: dict[str, Any] = {"keep": pattern.keep, "group": pattern.group, "pair": pattern.pair}
    return TileGeometry(dtype="int8", out="int32", k=groups * pattern.keep, **sizes)


def rtl_selector(geometry: TileGeometry, vectors: list[dict[str, Any]]) -> list[list[int]]:
    return [plain(chosen) for (chosen,) in evaluate(Selector(geometry), vectors, "chosen")]


def expected(geometry: TileGeometry, codes: list[int], window: list[int]) -> list[int]:
    pattern = geometry.pattern
    chosen = []
    for group, code in enumerate(codes):
        values = window[group * pattern.group : (group + 1) * pattern.group]
        # Pairs stay together.
        places = [values[i : i + pattern.pair] for i in range(0, pattern.group, pattern.pair)]
        if pattern.halves:
            indices = [code >> 1 & 1]
        else:
            indices = [code >> lane * pattern.index_bits & (len(places) - 1) for lane in range(pattern.lanes)]
        chosen += [value for index in indices for value in places[index]]
    return chosen


@pytest.mark.parametrize("text", PATTERNS)
def test_every_code_chooses(text: str) -> None:
    geometry, random = small(text), Random(1)
    count = 1 << geometry.pattern.code_bits
    vectors = [
        {
            # The other group has another code, now and then the same.
            "codes": random.sample([code, random.randrange(count)], 2),
            "window": [random.getrandbits(8) for _ in range(geometry.window)],
        }
        for code in range(count)
    ]
    assert rtl_selector(geometry, vectors) == [expected(geometry, v["codes"], v["window"]) for v in vectors]


@pytest.mark.parametrize("text", ["2:4", "4:8 pairs"])
def test_every_bit_of_every_place_reaches_the_lane(text: str) -> None:
    """One bit of the window at a time, and all but one, with all codes."""
    geometry = small(text, groups=1)
    vectors: list[dict[str, Any]] = []
    for code, place, bit, others in itertools.product(range(16), range(geometry.window), range(8), (0, 255)):
        window = [others] * geometry.window
        window[place] ^= 1 << bit
        vectors.append({"codes": [code], "window": window})
    assert rtl_selector(geometry, vectors) == [expected(geometry, v["codes"], v["window"]) for v in vectors]
