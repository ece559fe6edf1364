"""Interleaved CSC: the paper's example, exact inverses, and what a damaged encoding is told."""

from __future__ import annotations

import dataclasses
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from zeroskip.model.eie.format import Columns, decode, encode, local_rows, pack_words, unpack_words
from zeroskip.model.eie.geometry import EieGeometry


def reference(codes: np.ndarray, pes: int, index_bits: int) -> tuple[list[list[tuple[int, int]]], list[list[int]]]:
    """Entries (code, skip) and column pointers of each PE, row by row, as section III of the paper tells it."""
    entries: list[list[tuple[int, int]]] = [[] for _ in range(pes)]
    pointers = [[0] for _ in range(pes)]
    for column in codes.T:
        for pe in range(pes):
            zeros = 0
            for code in column[pe::pes].tolist():
                if code == 0:
                    zeros += 1
                    continue
                while zeros > 2**index_bits - 1:
                    entries[pe].append((0, 2**index_bits - 1))
                    zeros -= 2**index_bits
                entries[pe].append((code, zeros))
                zeros = 0
            pointers[pe].append(len(entries[pe]))
    return entries, pointers


geometries = st.builds(
    EieGeometry,
    pes=st.sampled_from([1, 2, 4, 8, 64]),
    index_bits=st.integers(2, 8),
    entries_per_word=st.sampled_from([1, 2, 4, 8, 16]),
)
matrices = arrays(
    np.uint8, array_shapes(min_dims=2, max_dims=2, max_side=90), elements=st.integers(0, 15), fill=st.just(0)
)


@given(matrices, geometries)
def test_equals_reference(codes: np.ndarray, geometry: EieGeometry) -> None:
    columns = encode(codes, geometry)
    entries, pointers = reference(codes, geometry.pes, geometry.index_bits)
    assert columns.pointers.tolist() == pointers
    assert list(zip(columns.codes.tolist(), columns.skips.tolist(), strict=True)) == [
        entry for pe in entries for entry in pe
    ]


@given(matrices, geometries)
def test_decode_is_inverse(codes: np.ndarray, geometry: EieGeometry) -> None:
    assert np.array_equal(decode(encode(codes, geometry), geometry), codes)


@given(st.data(), geometries)
def test_unpack_is_inverse(data: st.DataObject, geometry: EieGeometry) -> None:
    count = data.draw(st.integers(0, 50))
    codes = data.draw(arrays(np.uint8, count, elements=st.integers(0, 15)))
    skips = data.draw(arrays(np.uint8, count, elements=st.integers(0, 2**geometry.index_bits - 1)))
    words = pack_words(codes, skips, geometry)
    assert words.shape == (-(-count // geometry.entries_per_word), geometry.word_bytes)
    unpacked = unpack_words(words, count, geometry)
    assert np.array_equal(unpacked[0], codes)
    assert np.array_equal(unpacked[1], skips)


def test_column_of_the_paper() -> None:
    """Section III-B: [0,0,1,2, eighteen zeros, 3] is v = [1,2,0,3], z = [2,0,15,2]."""
    column = np.array([[0, 0, 1, 2, *[0] * 18, 3]], np.uint8).T
    columns = encode(column, EieGeometry(pes=1))
    assert columns.codes.tolist() == [1, 2, 0, 3]
    assert columns.skips.tolist() == [2, 0, 15, 2]


def test_matrix_of_the_paper() -> None:
    """Figures 2 and 3: the entries of PE 0 of four, of a 16 x 8 matrix."""
    places = [
        (0, 0),
        (8, 0),
        (12, 0),
        (4, 1),
        (0, 2),
        (12, 2),
        (0, 4),
        (4, 4),
        (0, 5),
        (12, 5),
        (0, 6),
        (8, 7),
        (12, 7),
    ]
    codes = np.zeros((16, 8), np.uint8)
    for row, column in places:
        codes[row, column] = 1
    columns = encode(codes, EieGeometry(pes=4))
    assert columns.skips.tolist() == [0, 1, 0, 1, 0, 2, 0, 0, 0, 2, 0, 2, 0]
    assert columns.pointers[0].tolist() == [0, 3, 4, 6, 6, 8, 10, 11, 13]


def test_words_have_the_first_entry_lowest_and_the_skip_below_the_code() -> None:
    geometry = EieGeometry(index_bits=4, code_bits=4)
    words = pack_words(np.array([1, 2, 15], np.uint8), np.array([3, 0, 7], np.uint8), geometry)
    assert words.tolist() == [[0x13, 0x20, 0xF7, 0, 0, 0, 0, 0]]


def test_local_rows() -> None:
    assert local_rows(10, 4).tolist() == [3, 3, 2, 2]
    assert local_rows(1, 4).tolist() == [1, 0, 0, 0]


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        (np.zeros(4, np.uint8), "codes must be a matrix with at least one row and one column, not of shape (4,)"),
        (
            np.zeros((0, 4), np.uint8),
            "codes must be a matrix with at least one row and one column, not of shape (0, 4)",
        ),
        (np.full((2, 2), 16, np.uint8), "codes must be below 16, not 16"),
    ],
)
def test_encode_refuses(codes: np.ndarray, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        encode(codes, EieGeometry(pes=1))


def one_column(codes: list[int], skips: list[int]) -> Columns:
    return Columns(
        outputs=20,
        codes=np.array(codes, np.uint8),
        skips=np.array(skips, np.uint8),
        pointers=np.array([[0, len(codes)]], np.int64),
    )


@pytest.mark.parametrize(
    ("columns", "message"),
    [
        (one_column([0, 1], [3, 0]), "padding entries must skip 15 rows, not 3 (PE 0)"),
        (one_column([1, 0], [0, 15]), "a column must not end in a padding entry (PE 0, column 0)"),
        (
            one_column([1, 1], [15, 4]),
            "entries must lie within 20 outputs, not at local row 20 of PE 0 (column 0)",
        ),
    ],
)
def test_decode_refuses(columns: Columns, message: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        decode(columns, EieGeometry(pes=1))


def test_last_row_is_allowed() -> None:
    geometry = dataclasses.replace(EieGeometry(), pes=1)
    assert decode(one_column([1, 1], [15, 3]), geometry)[19, 0] == 1
