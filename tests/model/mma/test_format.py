"""Compressed N:M operands: exact inverses, the padding rule, what codes mean, and that nothing is lost silently."""

from __future__ import annotations

import itertools
import re
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.model.mma.format import (
    Compressed,
    code_type,
    codes,
    compress,
    decompress,
    from_codes,
    illegal,
    nm_mask,
    pad_columns,
)
from zeroskip.model.mma.numerics import OPERANDS, FloatFormat, raw_type
from zeroskip.model.network.pattern import DENSE, Pattern

PATTERNS = [
    *(Pattern.parse(text) for text in ("1:2", "1:4", "2:4", "2:8", "4:8", "4:8 pairs", "4:16", "8:16", "dense")),
    Pattern(keep=4, group=4),
    Pattern(keep=4, group=4, pair=2),
    Pattern(keep=2, group=4, pair=2),
]
patterns = st.sampled_from(PATTERNS)
dtypes = st.sampled_from(sorted(OPERANDS))
Check = Literal["strict", "relaxed"]


def zero(dtype: str, bits: np.ndarray) -> np.ndarray:
    """Which raw bits are a zero, sign or not."""
    form = OPERANDS[dtype]
    return (bits == 0) | (isinstance(form, FloatFormat) & (bits == form.sign_bit))


def random_dense(
    rng: np.random.Generator, pattern: Pattern, dtype: str, rows: int, groups: int, *, full: bool = False
) -> np.ndarray:
    """Raw bits in which no group keeps too much, and some keep less than they may, unless it is to be `full`."""
    form = OPERANDS[dtype]
    shape = (rows, groups * pattern.group)
    dense = rng.integers(1, form.sign_bit, shape, dtype=np.uint64).astype(raw_type(form))
    dense |= (rng.integers(0, 2, shape) * form.sign_bit).astype(dense.dtype)
    dense[~nm_mask(rng.random(shape), pattern)] = 0
    if not full:
        dense[rng.random(shape) < 0.2] = 0
    return dense


def reference(dense: np.ndarray, pattern: Pattern, dtype: str) -> tuple[list[int], list[int]]:
    """Values and indices of one group, by the rule as the docstring states it."""
    runs = dense.reshape(pattern.positions, pattern.pair)
    kept = [position for position in range(pattern.positions) if not zero(dtype, runs[position]).all()]
    for position in range(pattern.positions - pattern.lanes, pattern.positions):
        if len(kept) < pattern.lanes and position not in kept:
            kept.append(position)
    return runs[sorted(kept)].reshape(-1).tolist(), sorted(kept)


@given(patterns, dtypes, st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 9))
def test_equals_the_reference(pattern: Pattern, dtype: str, seed: int, rows: int, groups: int) -> None:
    dense = random_dense(np.random.default_rng(seed), pattern, dtype, rows, groups)
    compressed = compress(dense, pattern, dtype=dtype)
    assert (compressed.rows, compressed.groups, compressed.columns) == (rows, groups, groups * pattern.group)
    assert compressed.values.dtype == dense.dtype
    expected = [[reference(group, pattern, dtype) for group in row.reshape(groups, -1)] for row in dense]
    assert compressed.values.tolist() == [[value for values, _ in row for value in values] for row in expected]
    assert compressed.indices.tolist() == [[indices for _, indices in row] for row in expected]


@given(patterns, dtypes, st.integers(0, 2**32), st.integers(1, 5), st.integers(1, 9))
def test_comes_back_from_values_and_codes(pattern: Pattern, dtype: str, seed: int, rows: int, groups: int) -> None:
    dense = random_dense(np.random.default_rng(seed), pattern, dtype, rows, groups)
    compressed = compress(dense, pattern, dtype=dtype)
    np.testing.assert_array_equal(decompress(compressed), dense)
    packed = codes(compressed)
    assert packed.dtype == code_type(pattern)
    assert not illegal(packed, pattern, "strict").any()
    again = from_codes(compressed.values, packed, pattern)
    np.testing.assert_array_equal(again.indices, compressed.indices)
    np.testing.assert_array_equal(decompress(again), dense)


@pytest.mark.parametrize(
    ("group", "code"),
    [
        ("....", 0b1110),
        ("x...", 0b1000),
        (".x..", 0b1001),
        ("..x.", 0b1110),
        ("...x", 0b1110),
        ("xx..", 0b0100),
        ("x.x.", 0b1000),
        ("x..x", 0b1100),
        (".xx.", 0b1001),
        (".x.x", 0b1101),
        ("..xx", 0b1110),
    ],
)
def test_codes_of_2_4(group: str, code: int) -> None:
    dense = np.array([[10 + position if mark == "x" else 0 for position, mark in enumerate(group)]], np.uint8)
    assert codes(compress(dense, Pattern(), dtype="int8")).tolist() == [[code]]
    # 4:8 pairs: the same over pairs, of which either value may be zero.
    pairs = np.stack([dense, np.zeros_like(dense)], axis=-1).reshape(1, 8)
    for order in (pairs, pairs[:, ::-1].reshape(1, 4, 2)[:, ::-1].reshape(1, 8)):
        assert codes(compress(order, Pattern.parse("4:8 pairs"), dtype="int8")).tolist() == [[code]]


def test_codes_of_1_2() -> None:
    dense = np.array([[7, 0, 0, 8, 0, 0]], np.uint8)
    compressed = compress(dense, Pattern.parse("1:2"), dtype="int8")
    assert codes(compressed).tolist() == [[0b0100, 0b1110, 0b1110]]
    assert compressed.values.tolist() == [[7, 8, 0]]


def test_codes_of_8_16_need_32_bits() -> None:
    dense = np.array([[0] * 8 + [1] * 8], np.uint8)
    assert codes(compress(dense, Pattern.parse("8:16"), dtype="int8")).tolist() == [[0xFEDCBA98]]


def test_negative_zero_is_zero_and_nan_is_not() -> None:
    dense = np.array([[-0.0, 1.0, -0.0, np.nan], [-0.0, 0.0, -0.0, 0.0], [-0.0, 0.0, 0.0, -0.0]], np.float16)
    compressed = compress(dense.view(np.uint16), Pattern(), dtype="fp16")
    assert compressed.indices.tolist() == [[[1, 3]], [[2, 3]], [[2, 3]]]
    # What stands at padded positions stays as it is.
    assert compressed.values.tolist() == [[0x3C00, 0x7E00], [0x8000, 0], [0, 0x8000]]
    # 0x80 is the smallest integer of int8, and no negative zero.
    assert compress(np.array([[0x80, 0, 0, 0]], np.uint8), Pattern(), dtype="int8").values.tolist() == [[0x80, 0]]


EIGHT = np.array([[1, 2, 3, 4, 5, 6, 7, 8]], np.uint8)
MASK = np.array([[0, 1, 0, 1, 1, 0, 0, 0]], np.bool_)


def test_a_mask_says_what_is_kept() -> None:
    compressed = compress(EIGHT, Pattern(), dtype="int8", mask=MASK)
    assert compressed.indices.tolist() == [[[1, 3], [0, 2]]]
    assert compressed.values.tolist() == [[2, 4, 5, 0]]
    np.testing.assert_array_equal(decompress(compressed), EIGHT * MASK)


def test_a_mask_may_keep_half_of_a_pair() -> None:
    compressed = compress(EIGHT, Pattern.parse("4:8 pairs"), dtype="int8", mask=MASK & (EIGHT < 5))
    assert compressed.indices.tolist() == [[[0, 1]]]
    assert compressed.values.tolist() == [[0, 2, 0, 4]]


def test_a_mask_may_keep_zeros() -> None:
    compressed = compress(np.zeros_like(EIGHT), Pattern(), dtype="int8", mask=MASK)
    assert compressed.indices.tolist() == [[[1, 3], [0, 2]]]


@given(patterns, st.integers(0, 2**32))
def test_compress_does_not_change_what_it_is_given(pattern: Pattern, seed: int) -> None:
    rng = np.random.default_rng(seed)
    dense = rng.integers(1, 256, (3, 2 * pattern.group), dtype=np.uint8)
    before, mask = dense.copy(), nm_mask(dense, pattern)
    compressed = compress(dense, pattern, dtype="int8", mask=mask)
    np.testing.assert_array_equal(dense, before)
    np.testing.assert_array_equal(decompress(compressed), np.where(mask, dense, 0))


def test_pad_columns() -> None:
    dense = np.ones((2, 5), np.uint8)
    assert pad_columns(dense, 4).tolist() == [[1] * 5 + [0] * 3] * 2
    assert pad_columns(dense, 5).tolist() == dense.tolist()


def test_dense_is_the_matrix_itself() -> None:
    dense = np.arange(16, dtype=np.uint8).reshape(2, 8)
    for pattern in (DENSE, Pattern(keep=4, group=4), Pattern(keep=4, group=4, pair=2)):
        compressed = compress(dense, pattern, dtype="int8")
        np.testing.assert_array_equal(compressed.values, dense)
        assert not codes(compressed).any()
        np.testing.assert_array_equal(decompress(from_codes(dense, codes(compressed), pattern)), dense)


# The four bits of each code from 0 to 15, low index first.
INCREASING = {0b0100, 0b1000, 0b1001, 0b1100, 0b1101, 0b1110}
DISTINCT = INCREASING | {0b0001, 0b0010, 0b0011, 0b0110, 0b0111, 0b1011}


@pytest.mark.parametrize(
    ("text", "check", "legal"),
    [
        ("2:4", "strict", INCREASING),
        ("2:4", "relaxed", DISTINCT),
        ("4:8 pairs", "strict", INCREASING),
        ("4:8 pairs", "relaxed", DISTINCT),
        ("1:2", "strict", {0b0100, 0b1110}),
        ("1:2", "relaxed", {0b0100, 0b1110}),
    ],
)
def test_legal_codes(text: str, check: Check, legal: set[int]) -> None:
    every = np.arange(16, dtype=np.uint16).reshape(2, 8)
    expected = np.array([code not in legal for code in range(16)]).reshape(2, 8)
    np.testing.assert_array_equal(illegal(every, Pattern.parse(text), check), expected)


def test_codes_of_one_index_are_all_legal() -> None:
    checks: tuple[Check, ...] = ("strict", "relaxed")
    for check in checks:
        assert not illegal(np.arange(4, dtype=np.uint16)[None], Pattern.parse("1:4"), check).any()


@pytest.mark.parametrize("text", ["2:8", "4:8"])
def test_legal_codes_of_wider_patterns(text: str) -> None:
    pattern = Pattern.parse(text)
    every = np.arange(1 << pattern.code_bits, dtype=np.uint16)[None]
    triples = [[code >> 3 * lane & 7 for lane in range(pattern.lanes)] for code in range(every.size)]
    assert illegal(every, pattern, "strict")[0].tolist() == [sorted(set(each)) != each for each in triples]
    assert illegal(every, pattern, "relaxed")[0].tolist() == [len(set(each)) != len(each) for each in triples]


def test_every_code_of_2_4_has_a_meaning() -> None:
    every = np.arange(16, dtype=np.uint16)[None]
    compressed = from_codes(np.zeros((1, 32), np.uint16), every, Pattern())
    assert compressed.indices.tolist() == [[[code & 3, code >> 2] for code in range(16)]]
    np.testing.assert_array_equal(codes(compressed), every)


def test_every_code_of_1_2_has_a_meaning() -> None:
    every = np.arange(16, dtype=np.uint16)[None]
    compressed = from_codes(np.zeros((1, 16), np.uint32), every, Pattern.parse("1:2"))
    # The first half's index, halved, as CUTLASS's uncompress reads it.
    assert compressed.indices.tolist() == [[[(code & 3) // 2] for code in range(16)]]


@pytest.mark.parametrize("pattern", PATTERNS, ids=str)
def test_mask_keeps_the_largest(pattern: Pattern) -> None:
    rng = np.random.default_rng(3)
    # Few values, so that there are ties.
    magnitudes = rng.integers(0, 4, (50, 6 * pattern.group))
    mask = nm_mask(magnitudes, pattern)
    runs = magnitudes.reshape(-1, pattern.positions, pattern.pair).sum(axis=2)
    kept = mask.reshape(-1, pattern.positions, pattern.pair)
    assert (kept.all(axis=2) == kept.any(axis=2)).all()
    for scores, found in zip(runs.tolist(), kept[..., 0], strict=True):
        order = sorted(range(pattern.positions), key=lambda position: (-scores[position], position))
        assert set(np.flatnonzero(found)) == set(order[: pattern.lanes])


@pytest.mark.parametrize("kind", [np.float16, np.float32, np.float64, np.uint8, np.int64])
def test_mask_of_any_numbers(kind: Any) -> None:
    magnitudes = np.array([[1, 3, 2, 0], [5, 5, 5, 5]], kind)
    assert nm_mask(magnitudes, Pattern()).tolist() == [[False, True, True, False], [True, True, False, False]]


def test_mask_of_infinity() -> None:
    assert nm_mask(np.array([[1, np.inf, np.inf, np.inf]]), Pattern()).tolist() == [[False, True, True, False]]


def test_mask_of_pairs_adds_without_overflow() -> None:
    magnitudes = np.array([[200, 100, 50, 50, 1, 1, 60, 60]], np.uint8)
    expected = [[True] * 2 + [False] * 4 + [True] * 2]
    assert nm_mask(magnitudes, Pattern.parse("4:8 pairs")).tolist() == expected
    assert nm_mask(magnitudes.astype(np.float16) * 300, Pattern.parse("4:8 pairs")).tolist() == expected


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


def test_too_many_in_a_group() -> None:
    dense = np.zeros((5, 12), np.uint16)
    dense[3, 4:7] = 1
    dense[4] = 1
    with refused("groups must keep at most 2 values for 2:4, not 3 (row 3, group 1)"):
        compress(dense, Pattern(), dtype="fp16")
    with refused("groups must keep at most 2 values for 2:4, not 4 (row 0, group 0)"):
        compress(dense, Pattern(), dtype="fp16", mask=np.ones_like(dense, np.bool_))
    with refused("groups must keep at most 2 pairs for 4:8 pairs, not 3 (row 1, group 0)"):
        compress(np.array([[0] * 8, [1, 0, 0, 0, 1, 1, 0, 1]], np.uint8), Pattern.parse("4:8 pairs"), dtype="int4")


@pytest.mark.parametrize(
    ("dense", "dtype", "message"),
    [
        (np.zeros((1, 4), np.uint16), "fp8", f"dtype must be one of {', '.join(OPERANDS)}, not 'fp8'"),
        (
            np.zeros(4, np.uint16),
            "fp16",
            "dense must be a matrix with at least one row and one column, not of shape (4,)",
        ),
        (
            np.zeros((0, 4), np.uint16),
            "fp16",
            "dense must be a matrix with at least one row and one column, not of shape (0, 4)",
        ),
        (np.zeros((1, 4), np.float16), "fp16", "dense must hold the raw bits of fp16 as uint16, not float16"),
        (np.zeros((1, 4), np.uint16), "tf32", "dense must hold the raw bits of tf32 as uint32, not uint16"),
        (np.full((1, 4), 16, np.uint8), "int4", "dense must be below 16 for int4, not 16"),
        (
            np.zeros((1, 6), np.uint8),
            "int8",
            "columns must be a multiple of group (4), not 6; pad_columns appends zeros",
        ),
    ],
)
def test_matrices_that_cannot_be_compressed(dense: np.ndarray, dtype: str, message: str) -> None:
    with refused(message):
        compress(dense, Pattern(), dtype=dtype)


@pytest.mark.parametrize("mask", [np.ones((1, 4), np.uint8), np.ones((2, 4), np.bool_)])
def test_masks_that_do_not_fit(mask: np.ndarray) -> None:
    with refused(f"mask must be bool of shape (1, 4), not {mask.dtype} of shape {mask.shape}"):
        compress(np.zeros((1, 4), np.uint8), Pattern(), dtype="int8", mask=mask)


def test_indices_that_repeat() -> None:
    indices = np.array([[[0, 1], [1, 0]], [[3, 0], [2, 2]]], np.uint8)
    values = np.array([[1, 2, 3, 4], [5, 6, 7, 8]], np.uint8)
    with refused("indices of a group must be distinct, not (2, 2) (row 1, group 1)"):
        decompress(Compressed(values=values, indices=indices, pattern=Pattern()))
    # Any order is fine.
    indices[1, 1, 1] = 3
    assert decompress(Compressed(values=values, indices=indices, pattern=Pattern())).tolist() == [
        [1, 2, 0, 0, 4, 3, 0, 0],
        [6, 0, 0, 5, 0, 0, 7, 8],
    ]


@pytest.mark.parametrize("pattern", [pattern for pattern in PATTERNS if pattern.lanes == 2], ids=str)
def test_every_order_of_two_indices(pattern: Pattern) -> None:
    pairs = list(itertools.permutations(range(pattern.positions), 2))
    indices = np.array(pairs, np.uint8)[None]
    values = np.arange(1, 1 + len(pairs) * pattern.keep, dtype=np.uint16)[None]
    dense = decompress(Compressed(values=values, indices=indices, pattern=pattern))
    for number, group in enumerate(dense.reshape(len(pairs), pattern.positions, pattern.pair)):
        expected = values.reshape(len(pairs), 2, pattern.pair)[number]
        np.testing.assert_array_equal(group[list(pairs[number])], expected)
        assert np.count_nonzero(group) == pattern.keep


@pytest.mark.parametrize(
    ("values", "indices", "message"),
    [
        (
            np.zeros(4, np.uint8),
            np.zeros((1, 2, 2), np.uint8),
            "values must be a matrix of unsigned raw bits, not uint8 of shape (4,)",
        ),
        (
            np.zeros((1, 4), np.int8),
            np.zeros((1, 2, 2), np.uint8),
            "values must be a matrix of unsigned raw bits, not int8 of shape (1, 4)",
        ),
        (
            np.zeros((1, 3), np.uint8),
            np.zeros((1, 1, 2), np.uint8),
            "values must have a multiple of keep (2) columns, not 3",
        ),
        (
            np.zeros((1, 4), np.uint8),
            np.zeros((1, 1, 2), np.uint8),
            "indices must be uint8 of shape (1, 2, 2), not uint8 of shape (1, 1, 2)",
        ),
        (
            np.zeros((1, 4), np.uint8),
            np.zeros((1, 2, 2), np.int64),
            "indices must be uint8 of shape (1, 2, 2), not int64 of shape (1, 2, 2)",
        ),
        (np.zeros((1, 4), np.uint8), np.full((1, 2, 2), 4, np.uint8), "indices must be below 4, not 4"),
    ],
)
def test_compressed_operands_that_do_not_fit(values: np.ndarray, indices: np.ndarray, message: str) -> None:
    with refused(message):
        Compressed(values=values, indices=indices, pattern=Pattern())


def test_codes_that_do_not_fit() -> None:
    values = np.zeros((1, 4), np.uint8)
    with refused("codes must be a matrix of unsigned integers, not int64 of shape (1, 2)"):
        from_codes(values, np.zeros((1, 2), np.int64), Pattern())
    with refused("codes must be a matrix of unsigned integers, not uint16 of shape (2,)"):
        from_codes(values, np.zeros(2, np.uint16), Pattern())
    with refused("codes must be below 16 for 2:4, not 16"):
        from_codes(values, np.full((1, 2), 16, np.uint16), Pattern())
    with refused("codes must be below 1 for dense, not 1"):
        illegal(np.ones((1, 2), np.uint16), DENSE, "strict")
    with refused("check must be strict or relaxed, not 'lax'"):
        illegal(np.zeros((1, 2), np.uint16), Pattern(), "lax")  # type: ignore[arg-type]


def test_magnitudes_that_are_none() -> None:
    for bad in (-1.0, np.nan):
        with refused("magnitudes must be numbers from zero; give absolute values, without NaN"):
            nm_mask(np.array([[1, 2, bad, 3]]), Pattern())
    with refused("magnitudes must be a matrix with a multiple of group (4) columns, not of shape (2, 6)"):
        nm_mask(np.zeros((2, 6)), Pattern())
    with refused("magnitudes must be a matrix with a multiple of group (4) columns, not of shape (4,)"):
        nm_mask(np.zeros(4), Pattern())
