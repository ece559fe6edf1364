from random import Random
from typing import Any, Literal

import numpy as np
import pytest
from support.bench import evaluate

from zeroskip.model.mma import format as nm
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern
from zeroskip.rtl.mma.checker import Checker


def small(text: str, check: Literal["strict", "relaxed"], groups: int) -> TileGeometry:
    pattern = Pattern.parse(text)
    sizes: dict[str, Any] = {"keep": pattern.keep, "group": pattern.group, "pair": pattern.pair}
    return TileGeometry(dtype="int8", out="int32", k=groups * pattern.keep, check=check, **sizes)


def rtl_checker(geometry: TileGeometry, rows: list[list[int]]) -> list[bool]:
    vectors: list[dict[str, Any]] = [{"codes": row} for row in rows]
    return [bool(illegal) for (illegal,) in evaluate(Checker(geometry), vectors, "illegal")]


@pytest.mark.parametrize("check", ["strict", "relaxed"])
@pytest.mark.parametrize("text", ["1:2", "1:4", "2:4", "4:8 pairs", "2:8", "4:8"])
def test_all_codes(text: str, check: Literal["strict", "relaxed"]) -> None:
    geometry = small(text, check, groups=1)
    codes = np.arange(1 << geometry.pattern.code_bits, dtype=np.uint16)[:, None]
    assert rtl_checker(geometry, codes.tolist()) == nm.illegal(codes, geometry.pattern, check)[:, 0].tolist()


LEGAL = {  # PTX ISA 9.1, section 9.7.14.6.3.
    ("2:4", "strict"): {0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110},
    ("2:4", "relaxed"): set(range(16)) - {0b0000, 0b0101, 0b1010, 0b1111},
    ("4:8 pairs", "strict"): {0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110},
    ("1:2", "strict"): {0b0100, 0b1110},
    ("1:2", "relaxed"): {0b0100, 0b1110},
    ("1:4", "strict"): {0, 1, 2, 3},
}


@pytest.mark.parametrize(("text", "check"), LEGAL)
def test_legal_codes_are_those_of_nvidia(text: str, check: Literal["strict", "relaxed"]) -> None:
    geometry = small(text, check, groups=1)
    illegal = rtl_checker(geometry, [[code] for code in range(1 << geometry.pattern.code_bits)])
    assert {code for code, is_illegal in enumerate(illegal) if not is_illegal} == LEGAL[text, check]


@pytest.mark.parametrize("check", ["strict", "relaxed"])
@pytest.mark.parametrize("text", ["1:2", "2:4", "4:8"])
def test_one_illegal_code_of_a_row_is_enough(text: str, check: Literal["strict", "relaxed"]) -> None:
    geometry, random = small(text, check, groups=3), Random(2)
    count = 1 << geometry.pattern.code_bits
    every = np.arange(count, dtype=np.uint16)
    bad = nm.illegal(every[:, None], geometry.pattern, check)[:, 0]
    good = every[~bad].tolist()
    rows = [random.choices(good, k=3) for _ in range(100)]
    for row in rows[:60]:
        row[random.randrange(3)] = random.choice(every[bad].tolist())
    assert rtl_checker(geometry, rows) == [True] * 60 + [False] * 40
