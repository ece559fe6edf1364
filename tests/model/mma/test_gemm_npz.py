"""Matrix products from files: what is wrong is named."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.model.mma import format as nm
from zeroskip.model.mma.gemm import Operand, sparse_operand
from zeroskip.model.mma.gemm_npz import GemmFile, load_gemm
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.layouts import to_linear
from zeroskip.model.network.pattern import Pattern

MODE = {"dtype": "fp16", "out": "fp32", "generation": "A100"}


def dense_arrays() -> dict[str, Any]:
    rng = np.random.default_rng(0)
    return {
        "a": rng.integers(0, 1 << 16, (5, 10), dtype=np.uint16),
        "b": rng.integers(0, 1 << 16, (10, 3), dtype=np.uint16),
        "c": rng.integers(0, 1 << 32, (5, 3), dtype=np.uint32),
        **MODE,
    }


def sparse_arrays(word: Any = np.uint16) -> dict[str, Any]:
    arrays = dense_arrays()
    a = arrays.pop("a")
    mask = nm.nm_mask(nm.pad_columns(a & 0x7FFF, 4), Pattern())[:, :10]
    operand = sparse_operand(a, Pattern(), dtype="fp16", mask=mask)
    assert operand.codes is not None
    return {**arrays, "values": operand.values, "meta": to_linear(operand.codes, Pattern(), word)}


def load_file(path: Path, arrays: dict[str, NDArray[Any]], **options: Any) -> GemmFile:
    np.savez(path / "product.npz", **arrays)
    return load_gemm(path / "product.npz", **{"m": 4, "n": 4, "check": "strict", "illegal": False, **options})


@dataclass
class Loaded:
    """The only product of a file."""

    operand: Operand
    b: NDArray[Any]
    c: NDArray[Any]
    geometry: TileGeometry


def load(path: Path, arrays: dict[str, NDArray[Any]], **options: Any) -> Loaded:
    file = load_file(path, arrays, **options)
    (product,) = file.products
    assert not file.batched
    return Loaded(*product, file.geometry)


def test_dense(tmp_path: Path) -> None:
    arrays = dense_arrays()
    product = load(tmp_path, arrays)
    assert product.operand.dense
    for name, loaded in (("a", product.operand.values), ("b", product.b), ("c", product.c)):
        np.testing.assert_array_equal(loaded, arrays[name])
    assert (product.geometry.m, product.geometry.generation, product.geometry.k) == (4, "A100", 8)


@pytest.mark.parametrize("word", [np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64])
def test_metadata_words_of_any_width(tmp_path: Path, word: Any) -> None:
    arrays = sparse_arrays(np.uint32)
    width = np.dtype(word).itemsize
    # Three groups of four bits.
    arrays["meta"] = np.pad(arrays["meta"].view(np.uint8), ((0, 0), (0, 4)))[:, : max(2, width)].copy().view(word)
    product = load(tmp_path, arrays)
    reference = load(tmp_path, sparse_arrays())
    np.testing.assert_array_equal(product.operand.codes, reference.operand.codes)


def test_other_patterns(tmp_path: Path) -> None:
    arrays = sparse_arrays()
    codes = np.array([[3, 0, 1]] * 5, np.uint16)
    arrays |= {"values": arrays["values"][:, :3].copy(), "meta": to_linear(codes, Pattern(keep=1), np.uint8)}
    product = load(tmp_path, {**arrays, "pattern": "1:4"})
    assert product.geometry.pattern == Pattern(keep=1, group=4)
    np.testing.assert_array_equal(product.operand.codes, codes)
    with pytest.raises(ValueError, match="a pattern is written N:M"):
        load(tmp_path, {**arrays, "pattern": "one"})
    with pytest.raises(ValueError, match="a pattern that keeps 16 does not fit the 8 products that A100 adds at once"):
        load(tmp_path, {**arrays, "pattern": "16:16"})


def test_the_other_order_of_bytes(tmp_path: Path) -> None:
    arrays = dense_arrays()
    swapped = {name: value.astype(value.dtype.newbyteorder(">")) for name, value in arrays.items() if name in "abc"}
    product = load(tmp_path, {**arrays, **swapped})
    np.testing.assert_array_equal(product.operand.values, arrays["a"])
    np.testing.assert_array_equal(product.c, arrays["c"])


def test_illegal_codes(tmp_path: Path) -> None:
    arrays = sparse_arrays(np.uint8)
    # Groups 0 and 1 of row 2: 1, 0 and then 3, 3.
    arrays["meta"][2, 0] = 0b1111_0001
    with pytest.raises(ValueError, match=re.escape("whose indices increase (strict), not 0b0001 in row 2, group 0")):
        load(tmp_path, arrays)
    with pytest.raises(ValueError, match=re.escape("whose indices differ (relaxed), not 0b1111 in row 2, group 1")):
        load(tmp_path, arrays, check="relaxed")
    product = load(tmp_path, arrays, illegal=True)
    assert product.operand.codes is not None
    assert product.operand.codes[2, :2].tolist() == [1, 15]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"a": None}, "must have the key 'a', or 'values' and 'meta', but has b, c, dtype, out, generation"),
        ({"b": None}, "must have the key 'b', but has a, c"),
        ({"dtype": None}, "must have the key 'dtype'"),
        ({"dtype": np.int8(3)}, "'dtype' must be a string, not int8"),
        ({"dtype": "fp17"}, "dtype must be one of fp16, bf16"),
        ({"out": "int32"}, "out must be fp32 or fp16 for fp16, not 'int32'"),
        ({"generation": "T4"}, "generation must be one of V100, A100, Ada, H100, B200"),
        (
            {"generation": "exact"},
            "generation must be one of V100, A100, Ada, H100, B200, H100-mma, H100-wgmma, not 'exact'",
        ),
        ({"dtype": "bf16", "generation": "V100"}, "dtype must be fp16 on V100, not bf16"),
        ({"meta": np.zeros((5, 1), np.uint16)}, "either 'a' or 'values' and 'meta', not both"),
        ({"a": np.zeros((5, 10), np.float16)}, "a must be uint16, the raw bits of fp16, not float16"),
        ({"a": np.zeros((5, 9), np.uint16)}, "b must have 9 rows, as a has columns"),
        ({"c": np.zeros((5, 4), np.uint32)}, "c must be 5 x 3, not (5, 4)"),
        ({"c": np.zeros((5, 3), np.uint16)}, "c must be uint32, the raw bits of fp32, not uint16"),
        ({"b": np.zeros(10, np.uint16)}, "b must have 10 rows, as a has columns, and a column, not (10,)"),
    ],
)
def test_errors(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    arrays = {name: value for name, value in {**dense_arrays(), **change}.items() if value is not None}
    with pytest.raises(ValueError, match=re.escape(f"{tmp_path / 'product.npz'}: ")) as caught:
        load(tmp_path, arrays)
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"meta": np.zeros((4, 1), np.uint16)}, "'values' and 'meta' must have a row each for every row of A"),
        ({"meta": np.zeros((5, 1))}, "'meta' of integers, not uint16 of (5, 6) and float64"),
        ({"meta": np.zeros((5, 4), np.uint16)}, "'meta' must have 1 words of uint16 a row for 3 groups, not 4"),
        ({"values": np.zeros((5, 4), np.uint16)}, "values must be 2 and codes one for each group of 4 columns"),
    ],
)
def test_errors_of_sparse_operands(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=re.escape("product.npz: ")) as caught:
        load(tmp_path, {**sparse_arrays(), **change})
    assert message in str(caught.value)


def test_damaged_file(tmp_path: Path) -> None:
    np.savez(tmp_path / "product.npz", **dense_arrays())
    data = (tmp_path / "product.npz").read_bytes()
    (tmp_path / "product.npz").write_bytes(data[: len(data) // 2])
    with pytest.raises(ValueError, match=r"product\.npz: must be a complete \.npz file"):
        load_gemm(tmp_path / "product.npz", m=4, n=4, check="strict", illegal=False)
    with pytest.raises(FileNotFoundError, match="does not exist"):
        load_gemm(tmp_path / "other.npz", m=4, n=4, check="strict", illegal=False)


def batch_of(arrays: dict[str, Any], count: int) -> dict[str, Any]:
    """`count` products; the numbers of each are other ones, its metadata the same."""
    return {
        name: array
        if name in MODE
        else np.stack([array if name == "meta" else np.roll(array, i) for i in range(count)])
        for name, array in arrays.items()
    }


def test_a_batch(tmp_path: Path) -> None:
    for arrays in (dense_arrays(), sparse_arrays()):
        batch = batch_of(arrays, 3)
        file = load_file(tmp_path, batch)
        assert file.batched
        assert len(file.products) == 3
        for i, (operand, b, c) in enumerate(file.products):
            np.testing.assert_array_equal(operand.values, batch["a" if "a" in batch else "values"][i])
            np.testing.assert_array_equal(b, batch["b"][i])
            np.testing.assert_array_equal(c, batch["c"][i])


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"b": np.zeros((10, 3), np.uint16)},
            "of a batch must be batch x rows x columns of the same batch",
        ),
        ({"b": np.zeros((2, 10, 3), np.uint16)}, "all matrices of a batch must be"),
        ({"b": np.zeros((3, 9, 3), np.uint16)}, "product 0: b must have 10 rows"),
        ({name: np.zeros((0, 5, 3), np.uint16) for name in ("a", "b", "c")}, "c must have at least one product"),
    ],
)
def test_wrong_batches(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_file(tmp_path, batch_of(dense_arrays(), 3) | change)
