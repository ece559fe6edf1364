"""Conversion to raw bits: the nearest number of the format, as torch and numpy round."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zeroskip.model.mma.convert import from_raw, to_raw


def hard_values(rng: np.random.Generator) -> NDArray[np.float32]:
    """All exponents, ties of each format, infinities, zeros of both signs."""
    bits = rng.integers(0, 1 << 32, 20_000, dtype=np.uint32)
    ties = bits & np.uint32(0xFFFFF000) | rng.choice(np.array([0, 0x8000, 0x1000, 0x18000], np.uint32), len(bits))
    values = np.concatenate((bits, ties)).view(np.float32)
    special = np.float32([0, -0.0, np.inf, -np.inf, 65504, 65519.99, 65520, 3.4e38, 1e-45, 6e-8, 3e-8])
    return np.concatenate((values[~np.isnan(values)], special))


def test_fp16_and_bf16_are_torchs() -> None:
    values = hard_values(np.random.default_rng(1))
    tensor = torch.from_numpy(values)
    np.testing.assert_array_equal(to_raw(values, "fp16"), tensor.half().view(torch.uint16).numpy())
    np.testing.assert_array_equal(to_raw(values, "bf16"), tensor.bfloat16().view(torch.uint16).numpy())
    np.testing.assert_array_equal(to_raw(values, "fp32"), values.view(np.uint32))


def test_tf32_is_the_nearest_with_ten_bits() -> None:
    values = hard_values(np.random.default_rng(2))
    values = values[np.isfinite(values) & (np.abs(values) < 3e38)]
    raw = to_raw(values, "tf32")
    assert not np.any(raw & np.uint32(0x1FFF))
    below, above = values.view(np.uint32) & np.uint32(0xFFFFE000), (values.view(np.uint32) >> 13 << 13) + (1 << 13)
    distances = [
        np.abs(np.asarray(bits, np.uint32).view(np.float32).astype(np.float64) - values) for bits in (below, above)
    ]
    tie, up = distances[0] == distances[1], distances[1] < distances[0]
    even = (below >> 13) & 1 == 0
    np.testing.assert_array_equal(raw, np.where(up | (tie & ~even), above, below))


@pytest.mark.parametrize("form", ["fp16", "bf16", "tf32", "fp32"])
def test_back_and_forth(form: str) -> None:
    raw = to_raw(hard_values(np.random.default_rng(3)), form)
    np.testing.assert_array_equal(to_raw(from_raw(raw, form), form), raw)
    assert np.isnan(from_raw(to_raw(np.float32([np.nan, -np.nan]), form), form)).all()


@pytest.mark.parametrize("form", ["bf16", "tf32"])
def test_nan_stays_nan_whatever_its_bits(form: str) -> None:
    """Also where the only bits that tell it from infinity are cut off; the bits that are kept stay, and it is quiet."""
    payloads = np.append(1 << np.arange(23, dtype=np.uint32), np.uint32([3, 0x1FFF, 0xFFFF, 0x2000, 0x7FFFFF]))
    bits = np.concatenate((payloads | np.uint32(0x7F800000), payloads | np.uint32(0xFF800000)))
    dropped = {"bf16": 16, "tf32": 13}[form]
    raw = to_raw(bits.view(np.float32), form).astype(np.uint32) << np.uint32(16 if form == "bf16" else 0)
    assert raw.tolist() == ((bits >> dropped << dropped) | 0x400000).tolist()
