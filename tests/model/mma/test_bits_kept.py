"""How many bits each GPU keeps in a block, and how many products a block has: figures from the papers, one bit more
and one less tried; and a relative bound that is no wider than its worst case."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from zeroskip.model.mma.convert import from_raw, to_raw
from zeroskip.model.mma.golden import dot, relative_bound

KEPT = {
    ("V100", "fp16"): (4, 23),
    ("A100", "fp16"): (8, 24),
    ("A100", "bf16"): (8, 24),
    ("A100", "tf32"): (4, 24),
    ("Ada", "fp16"): (8, 24),
    ("Ada", "bf16"): (8, 24),
    ("Ada", "tf32"): (4, 24),
    ("H100", "fp16"): (16, 25),
    ("H100", "bf16"): (16, 25),
    ("H100", "tf32"): (8, 25),
}
"""Products of a block and fraction bits below its largest exponent (Khattak and Mikaitis, arXiv 2512.07004)."""


def summed(generation: str, dtype: str, products: NDArray[np.float64], c: float = 0.0) -> float:
    """The sum of products that are given as numbers: each is split into two factors that the format holds."""
    exponents = np.where(products == 0, 0, np.floor(np.log2(np.abs(products) + (products == 0))))
    other = 2.0 ** np.floor(exponents / 2)
    a = to_raw((products / other).astype(np.float32)[None], dtype)
    b = to_raw(other.astype(np.float32)[None], dtype)
    assert np.array_equal(from_raw(a, dtype)[0] * from_raw(b, dtype)[0], products.astype(np.float32))
    start = to_raw(np.float32([c]), "fp32")
    return float(from_raw(dot(a, b, start, generation=generation, dtype=dtype, out="fp32"), "fp32")[0])


@pytest.mark.parametrize(("generation", "dtype"), KEPT)
def test_the_last_bit_that_is_kept(generation: str, dtype: str) -> None:
    """1 + 2^-k - 1 is 2^-k where bit k is kept, and else 0; of 2^-k + 2^-(k+1) the second part is cut off."""
    products, bits = KEPT[generation, dtype]
    for place in (1, products - 2):
        for small, left in ((2.0**-bits, 2.0**-bits), (2.0 ** -(bits + 1), 0.0), (1.5 * 2.0**-bits, 2.0**-bits)):
            terms = np.zeros(products)
            terms[[0, place, products - 1]] = [1, small, -1]
            assert summed(generation, dtype, terms) == left
            assert summed(generation, dtype, -terms) == -left


@pytest.mark.parametrize(("generation", "dtype"), [mode for mode in KEPT if mode[0] != "V100"])
def test_products_of_a_block(generation: str, dtype: str) -> None:
    """A bit that fp32 does not hold beside 1 is there as long as the block lasts, and gone in the next."""
    products, bits = KEPT[generation, dtype]
    terms = np.zeros(2 * products)
    terms[[0, 1, products - 1]] = [1, 2.0**-bits, -1]
    assert summed(generation, dtype, terms) == 2.0**-bits
    terms = np.zeros(2 * products)
    terms[[0, 1, products]] = [1, 2.0**-bits, -1]
    assert summed(generation, dtype, terms) == 0


@pytest.mark.parametrize("blocks", [1, 5])
@pytest.mark.parametrize(("generation", "dtype"), KEPT)
def test_the_relative_bound_is_nearly_reached(generation: str, dtype: str, blocks: int) -> None:
    """Beside c = 1, every product lies just below the last bit that is kept, and is lost."""
    products, bits = KEPT[generation, dtype]
    # The significand of bf16 has 8 bits, those of the others 11.
    small = (2 - 2.0 ** (-7 if dtype == "bf16" else -10)) * 2.0 ** -(bits + 1)
    terms = np.full(blocks * products, small)
    error = 1 + terms.sum() - summed(generation, dtype, terms, c=1.0)
    assert error == terms.sum()
    bound = relative_bound(generation, dtype, "fp32", blocks * products) * (1 + terms.sum())
    assert 0.55 * bound < error <= bound


@pytest.mark.parametrize(("generation", "products"), [("V100", 4), ("A100", 8), ("Ada", 8), ("H100", 16), ("B200", 16)])
def test_the_relative_bound_of_fp16_results_is_nearly_reached(generation: str, products: int) -> None:
    """1 + 2^-11 lies in the middle between two numbers of fp16, and becomes 1; the bound allows one unit."""
    a, b = np.zeros((2, products), np.float32)
    a[:2], b[:2] = [1, 2.0**-6], [1, 2.0**-5]
    raw = dot(
        to_raw(a[None], "fp16"),
        to_raw(b[None], "fp16"),
        np.zeros(1, np.uint16),
        generation=generation,
        dtype="fp16",
        out="fp16",
    )
    assert raw.tolist() == [0x3C00]
    bound = relative_bound(generation, "fp16", "fp16", products) * (1 + 2.0**-11)
    assert 0.45 * bound < 2.0**-11 <= bound


@pytest.mark.parametrize(("generation", "products"), [("Ada", 16), ("H100", 32)])
@pytest.mark.parametrize("c", [1.0, -1.0])
def test_the_relative_bound_of_fp8_is_nearly_reached(generation: str, products: int, c: float) -> None:
    """Every product is 1.75 times 2^-14, below the 13 bits that are kept beside one of 1: all but that are lost."""
    a = np.full(products, c * 2.0**-7, np.float32)
    b = np.full(products, 1.75 * 2.0**-7, np.float32)
    a[0], b[0] = c, 1
    raw_a, raw_b = (torch.from_numpy(one[None]).to(torch.float8_e5m2).view(torch.uint8).numpy() for one in (a, b))
    raw = dot(raw_a, raw_b, np.zeros(1, np.uint32), generation=generation, dtype="e5m2", out="fp32")
    exact = float((a.astype(np.float64) * b).sum())
    error = abs(exact - float(from_raw(raw, "fp32")[0]))
    bound = relative_bound(generation, "e5m2", "fp32", products) * abs(exact)
    assert 0.55 * bound < error <= bound
