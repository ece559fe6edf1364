"""The vector kernels against the scalar ones, which are held against exact rational arithmetic."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from support.operands import KINDS, block_numbers

from zeroskip.model.mma import golden, vectors
from zeroskip.model.mma.convert import to_raw
from zeroskip.model.mma.golden import dot, matmul
from zeroskip.model.mma.numerics import block_rule

MODES = [
    (generation, dtype)
    for generation in ("V100", "A100", "Ada", "H100")
    for dtype in vectors.DTYPES
    if generation != "V100" or dtype == "fp16"
]


@pytest.mark.parametrize("mode", MODES, ids="-".join)
@pytest.mark.parametrize("kind", KINDS)
def test_every_result_is_that_of_the_scalar_kernel(mode: tuple[str, str], kind: str) -> None:
    generation, dtype = mode
    rng = np.random.default_rng([MODES.index(mode), KINDS.index(kind)])
    # More than one tile of columns, the last one cut short; a last block that is cut short.
    rows, columns, length = 70, vectors.COLUMNS + 6, 37
    a, b, c = block_numbers(rng, dtype, "fp32", rows, length, kind)
    c = np.stack([np.roll(c, shift) for shift in range(columns)], axis=1)
    where = np.broadcast_to(rng.permutation(length).astype(np.int32), a.shape)
    given = matmul(a[:, where[0]], where, np.ascontiguousarray(b.T), c, generation=generation, dtype=dtype, out="fp32")
    expected = dot(a[:, None, where[0]], b[None][..., where[0]], c, generation=generation, dtype=dtype, out="fp32")
    assert np.array_equal(given, expected)


@pytest.mark.parametrize("mode", MODES, ids="-".join)
def test_ordinary_numbers_leave_nothing_to_the_scalar_kernel(mode: tuple[str, str]) -> None:
    generation, dtype = mode
    rng = np.random.default_rng(5)
    a, b = (
        to_raw(numbers.astype(np.float32), dtype)
        for numbers in (rng.normal(size=(8, 50)), np.maximum(rng.normal(size=(50, 200)), 0))
    )
    c = rng.normal(size=(8, 200)).astype(np.float32).view(np.uint32)
    where = np.broadcast_to(np.arange(50, dtype=np.int32), a.shape)
    result, left = vectors.matmul(a, where, b, c, dtype, block_rule(generation, dtype, "fp32"))
    assert not left.any()
    assert np.array_equal(result, dot(a[:, None], b.T[None], c, generation=generation, dtype=dtype, out="fp32"))


def test_zero_times_infinity_is_left_to_the_scalar_kernel() -> None:
    one: dict[str, Any] = {"dtype": "fp16", "rule": block_rule("A100", "fp16", "fp32")}
    zero, infinity = np.array([[0x0000]], np.uint16), np.array([[0x7C00]], np.uint16)
    where, c = np.zeros((1, 1), np.int32), np.zeros((1, 1), np.uint32)
    for a, b in ((zero, infinity), (infinity, zero)):
        assert vectors.matmul(a, where, b, c, **one)[1].all()
        assert matmul(a, where, b, c, generation="A100", dtype="fp16", out="fp32").tolist() == [[0x7FFFFFFF]]


def test_what_is_left_is_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(6)
    a, b, c = block_numbers(rng, "fp16", "fp32", 30, 11, "special")
    c = np.stack([c] * 30, axis=1)
    where = np.broadcast_to(np.arange(11, dtype=np.int32), a.shape)
    keywords: dict[str, Any] = {"generation": "H100", "dtype": "fp16", "out": "fp32"}
    expected = matmul(a, where, b.T, c, **keywords)
    monkeypatch.setattr(golden, "_TOGETHER", 25)
    assert np.array_equal(matmul(a, where, b.T, c, **keywords), expected)
