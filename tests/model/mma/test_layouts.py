"""Layouts of metadata: exact inverses of each other, and torch's and NVIDIA's, byte for byte."""

from __future__ import annotations

import itertools
import re
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.sparse import _semi_structured_conversions as conversions

from zeroskip.model.mma.format import Compressed, code_type, codes, compress, decompress, from_codes
from zeroskip.model.mma.lanes import SHAPES, MmaShape, from_lanes, to_lanes
from zeroskip.model.mma.layouts import from_cutlass, from_linear, from_torch, to_cutlass, to_linear, to_torch
from zeroskip.model.mma.numerics import OPERANDS, raw_type
from zeroskip.model.network.pattern import DENSE, Pattern

PATTERNS = [
    *(Pattern.parse(text) for text in ("1:2", "1:4", "2:4", "2:8", "4:8", "4:8 pairs", "4:16", "8:16")),
    Pattern(keep=2, group=4, pair=2),
]
WORDS = (np.uint8, np.uint16, np.uint32)
ROWS = {np.uint16: 32, np.uint32: 16}

TORCH = {"fp16": torch.float16, "bf16": torch.bfloat16, "tf32": torch.float32, "int8": torch.int8}
COLUMNS = {"fp16": 32, "bf16": 32, "tf32": 16, "int8": 64}


def random_codes(rng: np.random.Generator, pattern: Pattern, rows: int, groups: int) -> np.ndarray:
    return rng.integers(0, 1 << pattern.code_bits, (rows, groups), dtype=np.uint64).astype(code_type(pattern))


def refused(message: str) -> Any:
    return pytest.raises(ValueError, match=f"^{re.escape(message)}$")


@given(st.sampled_from(PATTERNS), st.sampled_from(WORDS), st.integers(0, 2**32), st.integers(1, 4), st.integers(1, 40))
def test_linear_is_one_string_of_bits(pattern: Pattern, word: type, seed: int, rows: int, groups: int) -> None:
    packed = random_codes(np.random.default_rng(seed), pattern, rows, groups)
    words = to_linear(packed, pattern, word)
    assert words.dtype == word
    bits = np.iinfo(word).bits
    for row, found in zip(packed.tolist(), words.tolist(), strict=True):
        string = sum(code << index * pattern.code_bits for index, code in enumerate(row))
        assert len(found) == -(-groups * pattern.code_bits // bits)
        assert sum(each << index * bits for index, each in enumerate(found)) == string
    again = from_linear(words, pattern, groups)
    assert again.dtype == code_type(pattern)
    np.testing.assert_array_equal(again, packed)


def test_linear_words_of_2_4() -> None:
    packed = np.array([[0x4, 0x8, 0x9, 0xC, 0xE]], np.uint16)
    assert to_linear(packed, Pattern(), np.uint16).tolist() == [[0xC984, 0x000E]]
    assert to_linear(packed, Pattern(), np.uint8).tolist() == [[0x84, 0xC9, 0x0E]]


@pytest.mark.parametrize("pattern", [DENSE, Pattern(keep=4, group=4)])
def test_dense_has_no_words(pattern: Pattern) -> None:
    words = to_linear(np.zeros((3, 5), np.uint16), pattern, np.uint16)
    assert words.shape == (3, 0)
    assert from_linear(words, pattern, 5).tolist() == [[0] * 5] * 3


def test_linear_words_of_any_strides() -> None:
    packed = random_codes(np.random.default_rng(1), Pattern(), 4, 16)
    words = to_linear(packed, Pattern(), np.uint16)
    for same in (np.asfortranarray(words), np.repeat(words, 2, axis=1)[:, ::2]):
        np.testing.assert_array_equal(from_linear(same, Pattern(), 16), packed)


def test_linear_refuses() -> None:
    one = np.zeros((1, 4), np.uint16)
    with refused("word must be uint8, uint16 or uint32, not int16"):
        to_linear(one, Pattern(), np.int16)
    with refused("codes must be below 16 for 2:4, not 16"):
        to_linear(one + np.uint16(16), Pattern(), np.uint16)
    with refused("words must be uint8, uint16 or uint32, not uint64"):
        from_linear(one.astype(np.uint64), Pattern(), 4)
    with refused("words must be a matrix of unsigned integers, not int16 of shape (1, 4)"):
        from_linear(one.astype(np.int16), Pattern(), 4)
    with refused("words must be 1 a row for 4 groups of 2:4, not 4"):
        from_linear(one, Pattern(), 4)
    with refused("bits after code 2 must be zero (row 1)"):
        from_linear(np.array([[0x0FFF], [0x1FFF]], np.uint16), Pattern(), 3)


@pytest.mark.parametrize("word", ROWS)
@pytest.mark.parametrize(("tall", "wide"), [(1, 2), (2, 2), (3, 4), (1, 10)])
def test_e_matrix_is_that_of_torch(word: Any, tall: int, wide: int) -> None:
    rng = np.random.default_rng(4)
    words = rng.integers(0, np.iinfo(word).max, (tall * ROWS[word], wide), dtype=word, endpoint=True)
    signed = torch.int16 if word is np.uint16 else torch.int32
    offsets = conversions._calculate_meta_reordering_scatter_offsets(*words.shape, signed, "cpu").numpy()
    e = to_cutlass(words)
    assert e.dtype == word
    np.testing.assert_array_equal(e.reshape(-1)[offsets], words.reshape(-1))
    np.testing.assert_array_equal(from_cutlass(e), words)


def test_e_matrix_refuses() -> None:
    with refused("words of the E matrix must be uint16 or uint32, not uint8"):
        to_cutlass(np.zeros((32, 2), np.uint8))
    with refused("words must be a matrix of unsigned integers, not int16 of shape (32, 2)"):
        to_cutlass(np.zeros((32, 2), np.int16))
    with refused("rows must be a multiple of 32 for words of uint16, not 16"):
        to_cutlass(np.zeros((16, 2), np.uint16))
    with refused("rows must be a multiple of 16 for words of uint32, not 24"):
        from_cutlass(np.zeros((24, 2), np.uint32))
    with refused("words of a row must be even in number for the E matrix, not 3"):
        from_cutlass(np.zeros((32, 3), np.uint16))


def random_torch(rng: np.random.Generator, dtype: str, rows: int, columns: int, *, full: bool) -> torch.Tensor:
    """A matrix with each of the pattern's groups, and, unless it is to be `full`, underfull ones and -0."""
    keep, group = (1, 2) if dtype == "tf32" else (2, 4)
    kept = np.array(
        [[each in chosen for each in range(group)] for chosen in itertools.combinations(range(group), keep)]
    )
    mask = kept[rng.integers(0, len(kept), (rows, columns // group))].reshape(rows, columns)
    numbers = rng.integers(1, 127, (rows, columns)) * rng.choice([-1, 1], (rows, columns))
    if not full:
        numbers[rng.random((rows, columns)) < 0.4] = 0
    dense = torch.from_numpy(numbers * mask).to(TORCH[dtype])
    if not full and dtype != "int8":
        dense[(dense == 0) & (torch.from_numpy(rng.random((rows, columns))) < 0.3)] = -0.0
    return dense


def raw(tensor: torch.Tensor, dtype: str) -> np.ndarray:
    signed = {8: torch.int8, 16: torch.int16, 32: torch.int32}[OPERANDS[dtype].bits]
    return tensor.contiguous().view(signed).numpy().view(raw_type(OPERANDS[dtype]))


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(("tall", "wide"), [(1, 1), (3, 5), (4, 2)])
@pytest.mark.parametrize("dtype", TORCH)
def test_torch_byte_for_byte(dtype: str, tall: int, wide: int, full: bool) -> None:
    rng = np.random.default_rng(5)
    rows = tall * (16 if dtype == "int8" else 32)
    tensor = random_torch(rng, dtype, rows, wide * COLUMNS[dtype], full=full)
    sparse, meta = conversions.sparse_semi_structured_from_dense_cutlass(tensor)
    dense = raw(tensor, dtype)
    compressed = compress(dense, Pattern.parse("1:2" if dtype == "tf32" else "2:4"), dtype=dtype)
    values, reordered = to_torch(compressed, dtype)

    assert values.tobytes() == raw(sparse, dtype).tobytes()
    assert (values.shape, reordered.shape) == (sparse.shape, meta.shape)
    assert reordered.dtype == meta.numpy().dtype
    assert reordered.tobytes() == meta.numpy().tobytes()


@pytest.mark.parametrize("full", [True, False])
@pytest.mark.parametrize(("tall", "wide"), [(1, 1), (3, 5), (4, 2)])
@pytest.mark.parametrize("dtype", TORCH)
def test_torch_reads_ours_and_we_read_torchs(dtype: str, tall: int, wide: int, full: bool) -> None:
    rng = np.random.default_rng(5)
    rows = tall * (16 if dtype == "int8" else 32)
    tensor = random_torch(rng, dtype, rows, wide * COLUMNS[dtype], full=full)
    sparse, meta = conversions.sparse_semi_structured_from_dense_cutlass(tensor)
    dense = raw(tensor, dtype)
    compressed = compress(dense, Pattern.parse("1:2" if dtype == "tf32" else "2:4"), dtype=dtype)
    values, reordered = to_torch(compressed, dtype)

    ours = torch.from_numpy(values.view(f"int{OPERANDS[dtype].bits}")).view(TORCH[dtype])
    plain = np.where((tensor == 0).numpy(), 0, dense)
    read = raw(conversions.sparse_semi_structured_to_dense_cutlass(ours, torch.from_numpy(reordered)), dtype)
    again = from_torch(raw(sparse, dtype), meta.numpy(), dtype)
    np.testing.assert_array_equal(again.indices, compressed.indices)
    # -0 at a padded position comes back as such.
    np.testing.assert_array_equal(decompress(again), read)
    np.testing.assert_array_equal(np.where((tensor == 0).numpy(), 0, read), plain)


def test_torch_holds_nan_and_the_smallest_numbers() -> None:
    tensor = torch.zeros((32, 32), dtype=torch.float16)
    tensor[:, 1::4] = torch.nan
    tensor[:, 2::4] = 2.0**-24
    sparse, meta = conversions.sparse_semi_structured_from_dense_cutlass(tensor)
    values, reordered = to_torch(compress(raw(tensor, "fp16"), Pattern(), dtype="fp16"), "fp16")
    assert values.tobytes() == raw(sparse, "fp16").tobytes()
    assert reordered.tobytes() == meta.numpy().tobytes()


def operand(pattern: str, rows: int, groups: int, kind: type) -> Compressed:
    parsed = Pattern.parse(pattern)
    return from_codes(np.zeros((rows, groups * parsed.keep), kind), np.zeros((rows, groups), np.uint16), parsed)


def test_torch_refuses() -> None:
    with refused("dtype must be one that torch compresses, fp16, bf16, tf32, int8, not 'e4m3'"):
        to_torch(operand("2:4", 32, 8, np.uint8), "e4m3")
    with refused("pattern must be 1:2 for tf32 in torch, not 2:4"):
        to_torch(operand("2:4", 32, 8, np.uint32), "tf32")
    with refused("values must be a matrix of uint16 for fp16, not uint8 of shape (32, 16)"):
        to_torch(operand("2:4", 32, 8, np.uint8), "fp16")
    with refused("rows must be a multiple of 32 for words of uint16, not 16"):
        to_torch(operand("2:4", 16, 8, np.uint16), "fp16")
    with refused("columns must be a multiple of 32 for fp16 in torch, not 48"):
        to_torch(operand("2:4", 32, 12, np.uint16), "fp16")
    with refused("columns must be a multiple of 64 for int8 in torch, not 32"):
        to_torch(operand("2:4", 16, 8, np.uint8), "int8")
    with refused("columns must be a multiple of 16 for tf32 in torch, not 8"):
        to_torch(operand("1:2", 32, 4, np.uint32), "tf32")
    values, meta = to_torch(operand("2:4", 32, 8, np.uint16), "fp16")
    with refused("meta must be a matrix of int16 for fp16, not uint16 of shape (32, 2)"):
        from_torch(values, meta.view(np.uint16), "fp16")
    with refused("meta must have as many rows as values (32), not 64"):
        from_torch(values, np.vstack([meta, meta]), "fp16")
    with refused("words must be 2 a row for 8 groups of 2:4, not 4"):
        from_torch(values, np.hstack([meta, meta]), "fp16")


def places(shape: MmaShape, selector: int) -> dict[tuple[int, int], tuple[int, int]]:
    """Lane and lowest bit of the code of each (row, group), as the table in the reference tells it."""
    found = {}
    for row, group in itertools.product(range(16), range(shape.groups)):
        g, p = row % 8, row // 8
        match shape.dtype, shape.k:
            case ("fp16" | "bf16", 32) | ("tf32", 16):
                h, j = divmod(group, 4)
                found[row, group] = (4 * g + 2 * selector + h, 16 * p + 4 * j)
            case ("fp16" | "bf16", 16) | ("tf32", 8):
                found[row, group] = (4 * g + selector, 16 * p + 4 * group)
            case ("int8" | "e4m3" | "e5m2", 64) | ("int4", 128):
                h, j = divmod(group, 8)
                found[row, group] = (4 * g + 2 * h + p, 4 * j)
            case ("int8", 32) | ("int4", 64):
                found[row, group] = (4 * g + 2 * selector + p, 4 * group)
    return found


@pytest.mark.parametrize("shape", SHAPES.values(), ids=str)
def test_lanes_are_those_of_the_table(shape: MmaShape) -> None:
    rng = np.random.default_rng(6)
    for selector in range(shape.selectors):
        packed = random_codes(rng, shape.pattern, 16, shape.groups)
        words = to_lanes(packed, shape.dtype, shape.k, selector)
        expected = np.zeros(32, np.uint32)
        for (row, group), (lane, bit) in places(shape, selector).items():
            expected[lane] |= np.uint32(int(packed[row, group]) << bit)
        np.testing.assert_array_equal(words, expected)
        # Lanes of other selectors are not read.
        other = np.full(32, 0xFFFFFFFF, np.uint32)
        other[shape.lanes(selector)] = words[shape.lanes(selector)]
        np.testing.assert_array_equal(from_lanes(other, shape.dtype, shape.k, selector), packed)


def test_selectors_share_a_register() -> None:
    for shape in SHAPES.values():
        lanes = np.concatenate([shape.lanes(selector).reshape(-1) for selector in range(shape.selectors)])
        assert sorted(lanes.tolist()) == list(range(32))


@pytest.mark.parametrize(("dtype", "k"), [("fp16", 32), ("bf16", 32), ("tf32", 16)])
def test_block_of_a_16_bit_e_matrix_is_one_word_a_lane(dtype: str, k: int) -> None:
    pattern = SHAPES[dtype, k].pattern
    packed = random_codes(np.random.default_rng(7), pattern, 32, k // pattern.group)
    registers = to_cutlass(to_linear(packed, pattern, np.uint16)).reshape(-1).view("<u4").astype(np.uint32)
    assert registers.shape == (32,)
    np.testing.assert_array_equal(
        registers, to_lanes(packed[:16], dtype, k, selector=0) | to_lanes(packed[16:], dtype, k, selector=1)
    )
    np.testing.assert_array_equal(from_lanes(registers, dtype, k, selector=0), packed[:16])
    np.testing.assert_array_equal(from_lanes(registers, dtype, k, selector=1), packed[16:])


@pytest.mark.parametrize(("dtype", "k"), [("int8", 64), ("e4m3", 64), ("int4", 128)])
def test_block_of_a_32_bit_e_matrix_is_one_word_a_lane(dtype: str, k: int) -> None:
    pattern = SHAPES[dtype, k].pattern
    packed = random_codes(np.random.default_rng(8), pattern, 16, k // pattern.group)
    e = to_cutlass(to_linear(packed, pattern, np.uint32))
    np.testing.assert_array_equal(e.reshape(-1), to_lanes(packed, dtype, k))


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 3))
def test_from_dense_to_registers_and_back(seed: int, tall: int, wide: int) -> None:
    """The long way round: torch's tensors, E matrix, a warp's registers for each block, codes, and the matrix."""
    rng = np.random.default_rng(seed)
    dense = raw(random_torch(rng, "fp16", 32 * tall, 32 * wide, full=False), "fp16")
    dense[dense == 0x8000] = 0
    values, meta = to_torch(compress(dense, Pattern(), dtype="fp16"), "fp16")
    # Two columns of the E matrix side by side, 32 rows at a time.
    registers = meta.view(np.uint16).reshape(wide, tall, 64).view("<u4").astype(np.uint32)
    packed = np.zeros((32 * tall, 8 * wide), np.uint16)
    for column, row, selector in itertools.product(range(wide), range(tall), range(2)):
        top = 32 * row + 16 * selector
        packed[top : top + 16, 8 * column : 8 * column + 8] = from_lanes(
            registers[column, row], "fp16", 32, selector=selector
        )
    compressed = from_codes(values, packed, Pattern())
    np.testing.assert_array_equal(decompress(compressed), dense)
    np.testing.assert_array_equal(codes(compressed), packed)


def test_lanes_refuse() -> None:
    packed = np.zeros((16, 8), np.uint16)
    known = (
        "fp16 m16n8k16, fp16 m16n8k32, bf16 m16n8k16, bf16 m16n8k32, tf32 m16n8k8, tf32 m16n8k16, int8 m16n8k32, "
        "int8 m16n8k64, e4m3 m16n8k64, e5m2 m16n8k64, int4 m16n8k64, int4 m16n8k128"
    )
    with refused(f"shape must be one of {known}, not fp16 m16n8k64"):
        to_lanes(packed, "fp16", 64)
    with refused(f"shape must be one of {known}, not e4m3 m16n8k32"):
        from_lanes(np.zeros(32, np.uint32), "e4m3", 32)
    with refused("selector must be below 2 for fp16 m16n8k32, not 2"):
        to_lanes(packed, "fp16", 32, selector=2)
    with refused("selector must be below 1 for int8 m16n8k64, not 1"):
        from_lanes(np.zeros(32, np.uint32), "int8", 64, selector=1)
    with refused("codes must be unsigned of shape (16, 4) for fp16 m16n8k16, not uint16 of shape (16, 8)"):
        to_lanes(packed, "fp16", 16)
    with refused("codes must be unsigned of shape (16, 8) for fp16 m16n8k32, not int64 of shape (16, 8)"):
        to_lanes(packed.astype(np.int64), "fp16", 32)
    with refused("codes must be below 16, not 16"):
        to_lanes(packed + np.uint16(16), "fp16", 32)
    with refused("words must be uint32 of shape (32,), not uint32 of shape (16,)"):
        from_lanes(np.zeros(16, np.uint32), "fp16", 32)
