"""Matrix products in the form that the tile takes."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.operands import random_bits

from zeroskip.model.mma import format as nm
from zeroskip.model.mma.gemm import Images, Operand, check_product, dense_operand, jobs, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.network.pattern import Pattern

PATTERNS = ["1:2", "1:4", "2:4", "2:8", "4:8", "4:8 pairs", "8:16"]


def int8(text: str = "2:4", groups: int = 2, **sizes: Any) -> TileGeometry:
    pattern = Pattern.parse(text)
    return TileGeometry(
        dtype="int8",
        out="int32",
        keep=pattern.keep,
        group=pattern.group,
        pair=pattern.pair,
        **{"k": groups * pattern.keep, "m": 2, "n": 3, **sizes},
    )


WORDS = st.one_of(st.integers(1, 8), st.integers(1, 200))
SIZE = st.one_of(st.integers(1, 5), st.integers(1, 60))


@given(SIZE, SIZE, SIZE, WORDS, WORDS, WORDS, st.sampled_from(["2:4", "1:4", "dense"]), st.booleans())
def test_jobs_cover_a_product_once_and_fit(
    m: int, n: int, k: int, a_words: int, b_words: int, d_words: int, text: str, dense: bool
) -> None:
    """Goes through the jobs and keeps track of what the memories hold, as the tile does. The many assertions are one
    property: each job finds in the memories what it does not load, and all of them add up every window once."""
    geometry = int8(text, a_words=a_words, b_words=b_words, d_words=d_words)
    steps = geometry.phases if dense else 1
    if a_words < steps:
        with pytest.raises(ValueError, match=f"a_words must be at least {steps}, the steps of a window, not {a_words}"):
            list(jobs(geometry, m, n, k, dense=dense))
        return
    tiles_m, tiles_n, windows = -(-m // geometry.m), -(-n // geometry.n), -(-k // geometry.window)
    total = -(-k // geometry.k) if dense else windows
    done = np.zeros((tiles_m, tiles_n), int)
    b_holds = c_holds = None
    for job in jobs(geometry, m, n, k, dense=dense):
        assert len(job.rows) * len(job.steps) <= a_words
        assert job.steps == range(job.windows.start * steps, min(job.windows.stop * steps, total))
        assert len(job.steps) >= 1
        assert len(job.columns) * len(job.windows) <= b_words
        assert 1 <= job.sums == len(job.rows) * len(job.columns) <= d_words
        assert len(job.windows) >= 1
        # What is not new must be what the job before left.
        if job.new_b:
            b_holds = (job.columns, job.windows)
        assert b_holds == (job.columns, job.windows)
        if job.new_c:
            assert c_holds is None
            c_holds = (job.rows, job.columns)
        assert c_holds == (job.rows, job.columns)
        # The windows of a sum in their order.
        part = done[job.rows.start : job.rows.stop, job.columns.start : job.columns.stop]
        assert part.size == job.sums
        assert np.all(part == job.windows.start)
        part[:] = job.windows.stop
        assert job.last == bool(np.all(part == windows))
        if job.last:
            c_holds = None
    assert np.all(done == windows)


def test_jobs_do_not_load_b_twice() -> None:
    geometry = int8(a_words=4, b_words=4, d_words=4)
    flags = [(job.new_b, job.new_c, job.last) for job in jobs(geometry, 20, 3, 16, dense=False)]
    assert flags == [(True, True, True)] + [(False, True, True)] * 4
    # Where K is cut, each job has another part of B.
    assert all(job.new_b for job in jobs(geometry, 20, 3, 40, dense=False))


@pytest.mark.parametrize("text", PATTERNS)
@pytest.mark.parametrize("columns", [1, 7, 16, 33])
def test_where_finds_the_rows_of_b(text: str, columns: int) -> None:
    """Scattered to where they stood, the values are the matrix again."""
    pattern, rng = Pattern.parse(text), np.random.default_rng(columns)
    mask = rng.random((5, columns)) < 0.5
    mask = nm.nm_mask(np.pad(mask, ((0, 0), (0, -columns % pattern.group))), pattern)[:, :columns]
    a = random_bits(rng, "int8", (5, columns))
    operand = sparse_operand(a, pattern, dtype="int8", mask=mask)
    where = operand.where()
    assert (operand.rows, operand.columns, operand.dense) == (5, columns, False)
    assert where.shape == operand.values.shape
    back = np.zeros((5, -(-columns // pattern.group) * pattern.group), np.uint8)
    for row in range(5):
        assert len(set(where[row].tolist())) == where.shape[1]
        back[row, where[row]] = operand.values[row]
    assert np.array_equal(back[:, :columns], a * mask)
    assert not back[:, columns:].any()


@pytest.mark.parametrize("text", PATTERNS)
def test_where_follows_every_code(text: str) -> None:
    pattern, rng = Pattern.parse(text), np.random.default_rng(3)
    codes = rng.integers(0, 1 << pattern.code_bits, (8, 40), np.uint64).astype(nm.code_type(pattern))
    values = random_bits(rng, "int8", (8, 40 * pattern.keep))
    where = Operand(values=values, codes=codes, columns=40 * pattern.group, pattern=pattern).where()
    for row, i in np.ndindex(*where.shape):
        group, rest = divmod(i, pattern.keep)
        lane, t = divmod(rest, pattern.pair)
        code, bits = int(codes[row, group]), pattern.index_bits
        index = code >> 1 & 1 if text == "1:2" else code >> lane * bits & ((1 << bits) - 1)
        assert where[row, i] == group * pattern.group + index * pattern.pair + t


def test_a_dense_operand_keeps_all() -> None:
    a = np.arange(12, dtype=np.uint8).reshape(3, 4)
    operand = dense_operand(a, Pattern())
    assert (operand.rows, operand.columns, operand.dense) == (3, 4, True)
    assert operand.where().tolist() == [[0, 1, 2, 3]] * 3


VALUES, CODES = np.zeros((2, 4), np.uint8), np.full((2, 2), 0b0100, np.uint16)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": VALUES[0]}, r"values must be a matrix that is not empty, not \(4,\)"),
        ({"values": VALUES[:0]}, r"values must be a matrix that is not empty, not \(0, 4\)"),
        ({"values": VALUES[:, :3]}, r"values must be 2 and codes one for each group of 4 columns, not \(2, 3\)"),
        ({"codes": CODES[:, :1]}, r"values must be 2 and codes one .* not \(2, 4\) and \(2, 1\)"),
        ({"codes": CODES[:1]}, r"values must be 2 and codes one .* not \(2, 4\) and \(1, 2\)"),
        ({"codes": CODES + 12}, "codes must be below 16 for 2:4, not 16"),
        ({"codes": CODES.astype(np.int32)}, "codes must be a matrix of unsigned integers, not int32"),
        ({"columns": 4}, "columns must be 5 to 8 where there are 2 groups, not 4"),
        ({"columns": 9}, "columns must be 5 to 8 where there are 2 groups, not 9"),
        ({"codes": None, "columns": 8}, "values of a dense A must be 8 columns wide, not 4"),
    ],
)
def test_wrong_operands_are_named(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {"values": VALUES, "codes": CODES, "columns": 7, "pattern": Pattern()}
    Operand(**good)
    with pytest.raises(ValueError, match=message):
        Operand(**{**good, **change})


def test_nothing_is_lost_where_a_group_is_too_full() -> None:
    a = np.array([[1, 2, 0, 3]], np.uint8)
    with pytest.raises(ValueError, match=r"groups must keep at most 2 values for 2:4, not 3 \(row 0, group 0\)"):
        sparse_operand(a, Pattern(), dtype="int8")
    with pytest.raises(ValueError, match=r"a must be a matrix, not \(4,\)"):
        sparse_operand(a[0], Pattern(), dtype="int8")
    with pytest.raises(ValueError, match="a must be uint16, the raw bits of fp16, not uint8"):
        sparse_operand(a, Pattern(), dtype="fp16")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"operand": dense_operand(np.zeros((4, 6), np.uint16), Pattern())}, "values must be uint8, the raw bits"),
        ({"operand": dense_operand(np.zeros((4, 6), np.uint8), Pattern(keep=1))}, "pattern must be 2:4, .* not 1:4"),
        ({"b": np.zeros((6, 5), np.int8)}, "b must be uint8, the raw bits of int8, not int8"),
        ({"b": np.zeros((7, 5), np.uint8)}, r"b must have 6 rows, as a has columns, and a column, not \(7, 5\)"),
        ({"b": np.zeros((6, 0), np.uint8)}, r"b must have 6 rows, as a has columns, and a column, not \(6, 0\)"),
        ({"b": np.zeros(6, np.uint8)}, r"b must have 6 rows, .* not \(6,\)"),
        ({"c": np.zeros((5, 4), np.uint32)}, r"c must be 4 x 5, not \(5, 4\)"),
        ({"c": np.zeros((4, 5), np.int32)}, "c must be uint32, the raw bits of int32, not int32"),
    ],
)
def test_wrong_products_are_named(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "operand": dense_operand(np.zeros((4, 6), np.uint8), Pattern()),
        "b": np.zeros((6, 5), np.uint8),
        "c": np.zeros((4, 5), np.uint32),
        "geometry": int8(),
    }
    check_product(**good)
    for check in (check_product, Images):
        with pytest.raises(ValueError, match=message):
            check(**{**good, **change})


@pytest.mark.parametrize("text", [*PATTERNS, "dense"])
@pytest.mark.parametrize("dense", [False, True])
@pytest.mark.parametrize("size", [(1, 1, 1), (5, 7, 50)])
def test_images(text: str, dense: bool, size: tuple[int, int, int]) -> None:
    """Step by step, tile by tile, the images hold the matrices, zeros around them and legal codes.

    The assertions on shapes and codes come first because the last one, that the multiplexers make the product of them,
    would fail without saying where."""
    if text == "dense" and not dense:
        return
    m, n, k = size
    geometry, rng = int8(text), np.random.default_rng(k)
    pattern = geometry.pattern
    a, b = random_bits(rng, "int8", (m, k)), random_bits(rng, "int8", (k, n))
    c = random_bits(rng, "int32", (m, n))
    if dense:
        operand = dense_operand(a, pattern)
    else:
        mask = nm.nm_mask(np.pad(rng.random((m, k)), ((0, 0), (0, -k % pattern.group))), pattern)[:, :k]
        operand = sparse_operand(a, pattern, dtype="int8", mask=mask)
        a = a * mask
    images = Images(operand, b, c, geometry)
    tiles_m, tiles_n, windows = -(-m // geometry.m), -(-n // geometry.n), -(-k // geometry.window)
    phases = geometry.phases if dense else 1
    steps = -(-k // geometry.k) if dense else windows
    assert images.values.shape == (tiles_m, geometry.m, steps, geometry.k)
    assert images.b.shape == (tiles_n, geometry.n, windows, geometry.window)
    assert images.c.shape == (tiles_m, geometry.m, tiles_n, geometry.n)

    padded = np.zeros((tiles_m * geometry.m, tiles_n * geometry.n), np.uint32)
    padded[:m, :n] = c
    assert np.array_equal(images.c.reshape(padded.shape), padded)
    codes: Any = images.codes
    if codes is None:
        assert pattern.dense
        codes = np.zeros((*images.values.shape[:3], geometry.groups), np.uint16)
    else:
        assert codes.shape == (*images.values.shape[:3], geometry.groups)
        assert not nm.illegal(codes.reshape(-1, geometry.groups), pattern, "strict").any()
        if dense:
            taken = np.array([pattern.phase_code(step % phases) for step in range(steps)], codes.dtype)
            codes = np.broadcast_to(taken[:, None], codes.shape)
    # What the multiplexers of all steps make of them is the product.
    raw: Any = images.values
    place = nm.from_codes(raw.reshape(-1, geometry.k), codes.reshape(-1, geometry.groups), pattern).indices
    rows = place[..., None].astype(int) * pattern.pair + np.arange(pattern.pair)
    rows = rows.reshape(len(rows), geometry.groups, geometry.keep)
    rows = (rows + np.arange(geometry.groups)[:, None] * geometry.group).reshape(images.values.shape)
    product = np.zeros((tiles_m, geometry.m, tiles_n, geometry.n), np.int64)
    values, columns = images.values.view(np.int8).astype(np.int64), images.b.view(np.int8).astype(np.int64)
    for i, r, j, s in np.ndindex(*product.shape):
        for step in range(steps):
            taken = columns[j, s, step // phases][rows[i, r, step]]
            product[i, r, j, s] += (values[i, r, step] * taken).sum()
    expected = a.view(np.int8).astype(np.int64) @ b.view(np.int8).astype(np.int64)
    product = product.reshape(padded.shape)
    assert np.array_equal(product[:m, :n], expected)
    assert not product[m:].any()
    assert not product[:, n:].any()


def test_images_leave_out_what_the_multiplier_ignores() -> None:
    geometry = TileGeometry(dtype="tf32", k=4, keep=1, group=2, m=1, n=1)
    a, b = np.full((1, 2), 0xFFFFFFFF, np.uint32), np.full((2, 1), 0x3F801FFF, np.uint32)
    images = Images(dense_operand(a, geometry.pattern), b, np.zeros((1, 1), np.uint32), geometry)
    assert images.values.max() == 0x7FFFF
    assert images.b.max() == 0x3F800000 >> 13
