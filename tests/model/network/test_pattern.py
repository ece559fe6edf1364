"""Patterns: what follows from each of them, how they are written, and which there are none."""

from __future__ import annotations

import re
from typing import Any

import pytest

from zeroskip.model.network.pattern import DENSE, Pattern

PATTERNS = {  # As written: keep, group, pair; lanes, positions, index bits, code bits.
    "1:2": (1, 2, 1, 1, 2, 1, 4),
    "1:4": (1, 4, 1, 1, 4, 2, 2),
    "2:4": (2, 4, 1, 2, 4, 2, 4),
    "2:8": (2, 8, 1, 2, 8, 3, 6),
    "4:8": (4, 8, 1, 4, 8, 3, 12),
    "4:8 pairs": (4, 8, 2, 2, 4, 2, 4),
    "8:16": (8, 16, 1, 8, 16, 4, 32),
    "dense": (1, 1, 1, 1, 1, 1, 0),
}


@pytest.mark.parametrize("text", PATTERNS)
def test_sizes(text: str) -> None:
    pattern = Pattern.parse(text)
    assert str(pattern) == text
    assert (
        pattern.keep,
        pattern.group,
        pattern.pair,
        pattern.lanes,
        pattern.positions,
        pattern.index_bits,
        pattern.code_bits,
    ) == PATTERNS[text]
    assert pattern.dense == (text == "dense")
    assert pattern.halves == (text == "1:2")


def test_default_is_2_4() -> None:
    assert Pattern() == Pattern.parse("2:4")


@pytest.mark.parametrize("group", [1, 2, 4, 8, 16])
def test_every_whole_group_is_dense(group: int) -> None:
    pattern = Pattern(keep=group, group=group)
    assert pattern.dense
    assert pattern.code_bits == 0
    assert Pattern.parse(str(pattern)) == DENSE


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"group": 6}, "group must be a power of two from 1 to 16, not 6"),
        ({"group": 32}, "group must be a power of two from 1 to 16, not 32"),
        ({"keep": 0}, "keep must be at least 1 and divide group (4), not 0"),
        ({"keep": 3}, "keep must be at least 1 and divide group (4), not 3"),
        ({"keep": 8}, "keep must be at least 1 and divide group (4), not 8"),
        ({"pair": 4}, "pair must be 1 or 2 and divide keep (2) and group, not 4"),
        ({"keep": 1, "pair": 2}, "pair must be 1 or 2 and divide keep (1) and group, not 2"),
    ],
)
def test_sizes_that_make_no_pattern(sizes: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)):
        Pattern(**sizes)


@pytest.mark.parametrize("value", [True, 2.0, "2"])
def test_sizes_are_integers(value: Any) -> None:
    with pytest.raises(TypeError, match=re.escape(f"keep must be an integer, not {value!r}")):
        Pattern(keep=value)


@pytest.mark.parametrize("text", ["", "2", "2:", ":4", "2:4 pair", "2:4:8", "-2:4", "Dense", "a:b"])
def test_text_that_is_no_pattern(text: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"(2:4, 4:8 pairs), not {text!r}")):
        Pattern.parse(text)
