"""The arithmetic of tensor cores against fractions, added up straight by the published rule."""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from support.operands import KINDS, block_numbers, floats, hostile, random_bits

from zeroskip.model.mma import numerics
from zeroskip.model.mma.gemm import dense_operand, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.golden import dot, gemm, matmul, relative_bound
from zeroskip.model.network.pattern import Pattern

# Exponent bits, mantissa bits, low bits that are ignored, and the bits of infinity, if there is one, and of NaN.
SHAPES = {
    "fp16": (5, 10, 0),
    "bf16": (8, 7, 0),
    "tf32": (8, 10, 13),
    "e4m3": (4, 3, 0),
    "e5m2": (5, 2, 0),
    "fp32": (8, 23, 0),
}
NAN = {"fp32": 0x7FFFFFFF, "fp16": 0x7FFF}

# Products a block, fraction bits, floor, kept mantissa bits: the table of Khattak and Mikaitis. B200 adds 16-bit
# numbers as H100 does. What fp8 modes of H100 and B200 do beside the table was found in the same captured results.
RULES = {
    ("V100", "fp16", "fp32"): (4, 23, -(10**6), 23),
    ("V100", "fp16", "fp16"): (4, 23, -19, 10),
    **{
        (generation, dtype, "fp32"): (8 if dtype != "tf32" else 4, 24, -132, 23)
        for generation in ("A100", "Ada")
        for dtype in ("fp16", "bf16", "tf32")
    },
    ("A100", "fp16", "fp16"): (8, 24, -20, 10),
    ("Ada", "fp16", "fp16"): (8, 24, -20, 10),
    ("H100", "fp16", "fp32"): (16, 25, -133, 23),
    ("H100", "bf16", "fp32"): (16, 25, -133, 23),
    ("H100", "tf32", "fp32"): (8, 25, -133, 23),
    ("H100", "fp16", "fp16"): (16, 25, -21, 10),
    ("Ada", "e4m3", "fp32"): (16, 13, -132, 13),
    ("Ada", "e5m2", "fp32"): (16, 13, -132, 13),
    ("H100", "e4m3", "fp32"): (32, 13, -133, 13),
    ("H100", "e5m2", "fp32"): (32, 13, -133, 13),
    **{("H100-wgmma", dtype, "fp32"): (32, 13, -133, 13) for dtype in ("e4m3", "e5m2")},
    **{("H100-wgmma", dtype, "fp16"): (32, 13, -21, 10) for dtype in ("e4m3", "e5m2")},
    **{("H100-mma", dtype, "fp32"): (16, 25, -133, 23) for dtype in ("e4m3", "e5m2")},
    ("B200", "fp16", "fp32"): (16, 25, -133, 23),
    ("B200", "bf16", "fp32"): (16, 25, -133, 23),
    ("B200", "tf32", "fp32"): (8, 25, -133, 23),
    ("B200", "fp16", "fp16"): (16, 25, -21, 10),
    ("Ada", "e4m3", "fp16"): (16, 13, -20, 10),
    ("Ada", "e5m2", "fp16"): (16, 13, -20, 10),
    ("B200", "e4m3", "fp32"): (32, 25, -133, 23),
    ("B200", "e5m2", "fp32"): (32, 25, -133, 23),
    **{(g, dtype, "fp16"): (16, 24, -21, 10) for g in ("H100", "B200", "H100-mma") for dtype in ("e4m3", "e5m2")},
}
# Modes that add c last: the places of 32 products that each block takes.
EVERY = [*range(32)]
LOW = [0, 1, 4, 5, 8, 9, 12, 13, 16, 17, 20, 21, 24, 25, 28, 29]
HIGH = [2, 3, 6, 7, 10, 11, 14, 15, 18, 19, 22, 23, 26, 27, 30, 31]
ADDEND_LAST = {
    ("B200", "e4m3", "fp32"): [EVERY],
    ("B200", "e5m2", "fp32"): [EVERY],
    **{(g, dtype, "fp16"): [LOW, HIGH] for g in ("H100", "B200", "H100-mma") for dtype in ("e4m3", "e5m2")},
    **{("H100-mma", dtype, "fp32"): [LOW, HIGH] for dtype in ("e4m3", "e5m2")},
}
# Of these the blocks are rounded to nearest; those of H100-mma to fp32 are cut off.
NEAREST = {mode for mode in ADDEND_LAST if mode[0] == "B200" or mode[2] == "fp16"}
EXACT_MODES = [("exact", dtype, out) for dtype in ("fp16", "bf16", "tf32", "e4m3", "e5m2") for out in ("fp32", "fp16")]
INT_MODES = [
    (generation, dtype, out)
    for generation, dtypes in {
        "A100": ("int8", "int4"),
        "Ada": ("int8", "int4"),
        "H100": ("int8",),
        "B200": ("int8",),
        "exact": ("int8", "int4"),
    }.items()
    for dtype in dtypes
    for out in ("int32", "int32_sat")
]


def number(bits: int, name: str) -> tuple[Fraction | float, int]:
    """What raw bits stand for, and the exponent of their leading place."""
    exponent_bits, mantissa_bits, dropped = SHAPES[name]
    bits >>= dropped
    mantissa = bits % 2**mantissa_bits
    field = bits >> mantissa_bits & (2**exponent_bits - 1)
    sign = -1 if bits >> (exponent_bits + mantissa_bits) else 1
    bias = 2 ** (exponent_bits - 1) - 1
    if name == "e4m3":
        if field == 15 and mantissa == 7:
            return math.nan, 0
    elif field == 2**exponent_bits - 1:
        return (math.nan if mantissa else sign * math.inf), 0
    exponent = field - bias if field else 1 - bias
    significand = mantissa + (2**mantissa_bits if field else 0)
    return sign * significand * Fraction(2) ** (exponent - mantissa_bits), exponent


def encoded(value: Fraction, out: str, *, nearest: bool, kept: int, signed: bool = False) -> int:
    """Raw bits of a sum that is not zero. Where it becomes zero it keeps its sign if `signed`."""
    exponent_bits, mantissa_bits, _ = SHAPES[out]
    emin = 2 - 2 ** (exponent_bits - 1)
    magnitude = abs(value)
    exponent = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    exponent = max(emin, exponent - (magnitude < Fraction(2) ** exponent))
    # Numbers of one exponent are neighbours, and so are the last of one and the first of the next, infinity included.
    places = magnitude / Fraction(2) ** (exponent - mantissa_bits)
    bits = (exponent - emin) * 2**mantissa_bits + (round(places) if nearest else math.floor(places))
    bits = min(bits, (2**exponent_bits - 1) * 2**mantissa_bits)
    bits -= bits % 2 ** (mantissa_bits - kept)
    return bits + (2 ** (exponent_bits + mantissa_bits) if value < 0 and (bits or signed) else 0)


def not_finite(pairs: Sequence[tuple[Any, Any]], c: Any, out: str) -> int | None:
    """What floats make of NaN and infinities, where there are any."""
    terms = [c]
    for x, y in pairs:
        if math.isfinite(x) and math.isfinite(y):
            terms.append(0.0)
        elif x == 0 or y == 0:
            terms.append(math.nan)
        else:
            terms.append(math.copysign(math.inf, x) * math.copysign(1, y) if x == x and y == y else math.nan)
    total = sum(0.0 if math.isfinite(term) else term for term in terms)
    if math.isnan(total):
        return NAN[out]
    if math.isinf(total):
        infinity = {"fp16": 0x7C00, "fp32": 0x7F800000}[out]
        return infinity + (2 ** {"fp16": 15, "fp32": 31}[out] if total < 0 else 0)
    return None


def block(a: Sequence[int], b: Sequence[int], c: int, mode: tuple[str, str, str]) -> int:
    """One block, or with `exact` the whole sum."""
    generation, dtype, out = mode
    pairs = [(number(x, dtype), number(y, dtype)) for x, y in zip(a, b, strict=True)]
    addend, exponent_c = number(c, out)
    special = not_finite([(x, y) for (x, _), (y, _) in pairs], addend, out)
    if special is not None:
        return special
    terms = [(x * y, ex + ey) for (x, ex), (y, ey) in pairs] + [(addend, exponent_c)]
    if generation == "exact":
        total = sum((Fraction(term) for term, _ in terms), Fraction(0))
        return encoded(total, out, nearest=True, kept=SHAPES[out][1], signed=True) if total else 0
    _, fraction, floor, kept = RULES[mode]
    largest = max([floor, *(exponent for term, exponent in terms if term)])
    unit = Fraction(2) ** (largest - fraction)
    total = sum(math.trunc(Fraction(term) / unit) for term, _ in terms) * unit
    nearest = out == "fp16" or mode in NEAREST
    return encoded(total, out, nearest=nearest, kept=kept) if total else 0


def added(x: int, y: int, out: str) -> int:
    """The sum of two results, as IEEE 754 has it. Minus zero is only the sum of two of them."""
    left, right = number(x, out)[0], number(y, out)[0]
    special = not_finite([], left if not math.isfinite(left) else right, out)
    if not math.isfinite(left) and not math.isfinite(right) and left + right != left:
        return NAN[out]
    if special is not None:
        return special
    total = Fraction(left) + Fraction(right)
    if not total:
        return x & y & 2 ** (sum(SHAPES[out][:2]))
    return encoded(total, out, nearest=True, kept=SHAPES[out][1])


def step_from_zero(a: Sequence[int], b: Sequence[int], c: int, mode: tuple[str, str, str]) -> int:
    """Up to 32 products, block by block, and c last."""
    total = 0
    for places in ADDEND_LAST[mode]:
        there = [place for place in places if place < len(a)]
        total = block([a[place] for place in there], [b[place] for place in there], total, mode)
    return added(total, c, mode[2])


def expected_floats(a: Any, b: Any, c: Any, mode: tuple[str, str, str]) -> list[int]:
    results = []
    last = mode in ADDEND_LAST
    size = a.shape[1] if mode[0] == "exact" else 32 if last else RULES[mode][0]
    one_step = step_from_zero if last else block
    for row_a, row_b, total in zip(a.tolist(), b.tolist(), c.tolist(), strict=True):
        for start in range(0, a.shape[1], size):
            total = one_step(row_a[start : start + size], row_b[start : start + size], total, mode)
        results.append(total)
    return results


def expected_integers(a: Any, b: Any, c: Any, bits: int, size: int, saturate: bool) -> list[int]:
    def signed(value: int, width: int) -> int:
        return value - 2**width if value >= 2 ** (width - 1) else value

    results = []
    for row_a, row_b, start_value in zip(a.tolist(), b.tolist(), c.tolist(), strict=True):
        total = signed(start_value, 32)
        for start in range(0, a.shape[1], size):
            pairs = zip(row_a[start : start + size], row_b[start : start + size], strict=True)
            total += sum(signed(x, bits) * signed(y, bits) for x, y in pairs)
            if saturate:
                total = max(-(2**31), min(2**31 - 1, total))
        results.append(total % 2**32)
    return results


def run(a: Any, b: Any, c: Any, mode: tuple[str, str, str]) -> list[int]:
    generation, dtype, out = mode
    result: list[int] = dot(a, b, c, generation=generation, dtype=dtype, out=out).tolist()
    return result


def named(mode: tuple[str, str, str]) -> str:
    return "-".join(mode)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", [*RULES, *EXACT_MODES], ids=named)
def test_floats(mode: tuple[str, str, str], kind: str) -> None:
    """One block and several, whole and cut short."""
    rng = np.random.default_rng(sum(map(ord, "".join(mode) + kind)))
    size = RULES[mode][0] if mode in RULES else 8
    for length in (size, 1, 2 * size + size // 2 - 1):
        for _ in range(4):
            a, b, c = block_numbers(rng, mode[1], mode[2], 5, length, kind)
            assert run(a, b, c, mode) == expected_floats(a, b, c, mode)


@pytest.mark.parametrize("mode", INT_MODES, ids=named)
def test_integers(mode: tuple[str, str, str]) -> None:
    rng = np.random.default_rng(sum(map(ord, "".join(mode))))
    bits = {"int8": 8, "int4": 4}[mode[1]]
    for length in (1, 31, 32, 33, 64, 65, 200):
        size = length if mode[0] == "exact" else {"int8": 32, "int4": 64}[mode[1]]
        for kind in ("any", "huge"):
            a, b, c = block_numbers(rng, mode[1], mode[2], 50, length, kind)
            assert run(a, b, c, mode) == expected_integers(a, b, c, bits, size, mode[2] == "int32_sat")


FP16_ONE, FP32_ONE = 0x3C00, 0x3F800000


def fp16(value: float) -> int:
    return int(np.float16(value).view(np.uint16))


def fp32(value: float) -> int:
    return int(np.float32(value).view(np.uint32))


def one(products: Sequence[tuple[float, float]], c: int, generation: str, out: str = "fp32") -> int:
    """A sum of fp16 products."""
    a, b = (np.array([fp16(pair[side]) for pair in products], np.uint16) for side in range(2))
    c_bits = np.array(c, np.uint32 if out == "fp32" else np.uint16)
    return int(dot(a, b, c_bits, generation=generation, dtype="fp16", out=out))


ULP_24 = (2.0**-12, 2.0**-12)
"""Factors of 2**-24, half of the last place of one."""


@pytest.mark.parametrize(
    ("generation", "expected"),
    [("V100", 1.0), *((generation, 1 + 2.0**-22) for generation in ("A100", "Ada", "H100", "B200"))],
)
def test_terms_are_cut_off_one_by_one(generation: str, expected: float) -> None:
    """Four halves of the last place are nothing to V100; later generations have an extra bit (Fasi et al., 3.3)."""
    assert one([ULP_24] * 4, FP32_ONE, generation) == fp32(expected)
    assert one([ULP_24] * 3, FP32_ONE, generation) == fp32(1.0 if generation == "V100" else 1 + 2.0**-23)


def test_only_h100_and_b200_see_a_quarter_of_the_last_place() -> None:
    quarter = (2.0**-12, 2.0**-13)
    found = {g: one([quarter] * 4, FP32_ONE, g) for g in ("V100", "A100", "Ada", "H100", "B200")}
    seen = {"H100": FP32_ONE + 1, "B200": FP32_ONE + 1}
    assert found == {"V100": FP32_ONE, "A100": FP32_ONE, "Ada": FP32_ONE, **seen}


def test_a_sum_is_not_monotonic() -> None:
    """A smaller addend has its terms cut off further down (Fasi et al., 3.3.5)."""
    smaller = one([ULP_24] * 4, fp32(1 - 2.0**-24), "V100")
    assert smaller == FP32_ONE + 1 > one([ULP_24] * 4, FP32_ONE, "V100")


def test_rounding_is_toward_zero_in_fp32_and_to_nearest_in_fp16() -> None:
    for sign in (1, -1):
        # 1 + 2**-23 * 3/4, whose quarters are far enough up where the terms are larger by themselves.
        assert one([(sign * 1.0, 1.0), (sign * 2.0**-12, 1.5 * 2.0**-12)], 0, "H100") == fp32(sign * 1.0)
        odd = (sign * (1 + 2.0**-10), 1.0)
        assert one([odd, (sign * 2.0**-11, 1.0)], 0, "A100", "fp16") == fp16(sign * (1 + 2.0**-9))
        assert one([(sign * 1.0, 1.0), (sign * 2.0**-11, 1.0)], 0, "A100", "fp16") == fp16(sign * 1.0)
        assert one([(sign * 1.0, 1.0), (sign * 2.0**-11, 1 + 2.0**-10)], 0, "A100", "fp16") == fp16(
            sign * (1 + 2.0**-10)
        )


def test_blocks_follow_each_other() -> None:
    """V100 adds four products at a time, A100 eight, H100 sixteen: small ones count only before a large one comes."""
    products = [ULP_24] * 4 + [(1.0, 1.0)] + [(0.0, 0.0)] * 3
    assert one(products, 0, "V100") == fp32(1 + 2.0**-22)
    small = [(2.0**-13, 2.0**-13)] * 8
    later = [*small, (1.0, 1.0), *[(0.0, 0.0)] * 7]
    assert one(later, 0, "A100") == fp32(1 + 2.0**-23)
    assert one(later, 0, "H100") == FP32_ONE


def test_subnormal_numbers_are_taken_and_given() -> None:
    least = 2.0**-24
    assert one([(least, least)], 0, "V100") == fp32(2.0**-48)
    assert one([(least, 1.0)], 0, "A100", "fp16") == 1
    assert one([(0.0, 1.0)], 1, "A100") == 1
    assert one([(-(2.0**-14), 2.0**-10)], 0x8000, "A100", "fp16") == 0x8001


TINY = 2.0**-24


@pytest.mark.parametrize(
    ("products", "addend", "mode", "expected"),
    [
        ([(-0.0, 1.0)], 0x80000000, ("A100",), 0),
        ([(1.0, 1.0), (-1.0, 1.0)], 0x80000000, ("A100",), 0),
        ([(-TINY, 2.0**-10)], 0, ("A100", "fp16"), 0),
        ([(-(2.0**-13), 2.0**-14)], 0x8000, ("A100", "fp16"), 0),
        ([(-TINY, 0.5)], 0, ("exact", "fp16"), 0x8000),
        ([(-TINY, 0.5), (TINY, 0.5)], 0x8000, ("exact", "fp16"), 0),
    ],
)
def test_signs_of_zero(products: list[tuple[float, float]], addend: int, mode: tuple[str, ...], expected: int) -> None:
    """+0 where the sum is zero, also where all terms are -0 or cancel, and where rounding makes it zero. The exact sum
    is rounded as IEEE 754 does it: what becomes zero keeps its sign."""
    assert one(products, addend, *mode) == expected


@pytest.mark.parametrize("keeps_sign", [False, True])
def test_the_sign_of_what_becomes_zero_is_one_rule(monkeypatch: pytest.MonkeyPatch, keeps_sign: bool) -> None:
    monkeypatch.setattr(numerics, "UNDERFLOW_KEEPS_SIGN", keeps_sign)
    assert one([(-(2.0**-13), 2.0**-14)], 0, "A100", "fp16") == (0x8000 if keeps_sign else 0)
    # Just above and below the last bit that A100 keeps for bf16, 2**-156, of which fp32 shows none.
    for exponent, expected in ((-156, 0x80000000 if keeps_sign else 0), (-157, 0)):
        a = np.array([0x8000 | (127 - 100) << 7], np.uint16)
        b = np.array([(127 + exponent + 100) << 7], np.uint16)
        assert int(dot(a, b, np.zeros((), np.uint32), **A100_BF16)) == expected


A100_BF16 = {"generation": "A100", "dtype": "bf16", "out": "fp32"}


def test_overflow_is_infinite() -> None:
    largest = 65504.0
    assert one([(largest, 1.0), (largest, 1.0)], 0, "V100", "fp16") == 0x7C00
    assert one([(-largest, 1.0), (-16.0, 1.0)], 0, "V100", "fp16") == 0xFC00
    assert one([(largest, 1.0), (15.0, 1.0)], 0, "V100", "fp16") == 0x7BFF
    assert one([(largest, largest)], 0x7F7FFFFF, "V100") == 0x7F800000 - 1
    top = np.array([0x7F7F, 0x7F7F], np.uint16)
    assert run(top[None], top[None], np.zeros(1, np.uint32), ("A100", "bf16", "fp32")) == [0x7F800000]


@pytest.mark.parametrize(
    ("products", "addend", "mode", "expected"),
    [
        ([(math.inf, 1.0), (-1.0, math.inf)], 0, ("A100",), 0x7FFFFFFF),
        ([(math.inf, 0.0)], 0, ("A100", "fp16"), 0x7FFF),
        ([(math.inf, -2.0)], 0, ("A100", "fp16"), 0xFC00),
        ([(math.inf, 2.0)], 0xFF800000, ("A100",), 0x7FFFFFFF),
        ([(math.nan, 0.0)], 0xFF800000, ("A100",), 0x7FFFFFFF),
    ],
)
def test_infinity_times_zero_and_its_negative_are_not_numbers(
    products: list[tuple[float, float]], addend: int, mode: tuple[str, ...], expected: int
) -> None:
    assert one(products, addend, *mode) == expected


def test_the_largest_field_of_e4m3_holds_numbers_up_to_448() -> None:
    a = np.array([[0x7E, 0xFE, 0x7F]], np.uint8).T
    assert run(a, np.full((3, 1), 0x38, np.uint8), np.zeros(3, np.uint32), ("H100", "e4m3", "fp32")) == [
        fp32(448),
        fp32(-448),
        0x7FFFFFFF,
    ]


def test_fp8_keeps_thirteen_bits() -> None:
    """Of 1 + 2**-13 + 2**-14 the last term is cut off, and so are the last bits of c."""
    a = np.array([[0x38, 0x01, 0x01]], np.uint8)
    b = np.array([[0x38, 0x08, 0x00]], np.uint8)  # 1 * 1 + 2**-9 * 2**-6 = 1 + 2**-15
    mode = ("H100", "e4m3", "fp32")
    assert run(a, b, np.array([0], np.uint32), mode) == [FP32_ONE]
    assert run(0 * a, b, np.array([0x3FFFFFFF], np.uint32), mode) == [0x3FFFFC00]


def e4m3(*values: float) -> NDArray[np.uint8]:
    bits: NDArray[np.uint8] = torch.tensor(values).to(torch.float8_e4m3fn).view(torch.uint8).numpy()
    return bits


def fp8_step(values: dict[int, float], c: NDArray[Any], generation: str, out: str) -> int:
    """A step of 32 e4m3 products, of which some are not zero."""
    a = e4m3(*(values.get(place, 0.0) for place in range(32)))
    ones = e4m3(*[1.0] * 32)
    return int(dot(a, ones, c, generation=generation, dtype="e4m3", out=out))


def test_b200_adds_c_to_the_rounded_sum_of_fp8_products() -> None:
    """H100 cuts the small product off below 13 bits of c = 1; B200 adds it to c, to nearest even."""
    # 2**-9 of a c of 2**14 is half of its last place, and one and a half are the even next.
    c = np.array(fp32(2.0**14), np.uint32)
    assert fp8_step({0: 2.0**-9}, c, "H100", "fp32") == c
    assert fp8_step({0: 2.0**-9}, c, "B200", "fp32") == fp32(2.0**14 + 2.0**-9)
    c = np.array(fp32(2.0**15), np.uint32)
    assert fp8_step({0: 2.0**-9}, c, "B200", "fp32") == c
    assert fp8_step({0: 2.0**-9, 31: 2.0**-8}, c, "B200", "fp32") == fp32(2.0**15 + 2.0**-7)
    # c has no part in the largest exponent: a huge c that cancels leaves the products whole.
    products = {0: 2.0**-9, 5: 1.0}
    huge = np.array(fp32(-(2.0**30)), np.uint32)
    assert fp8_step(products, huge, "B200", "fp32") == fp32(-(2.0**30))
    assert fp8_step(products, np.array(fp32(-1.0), np.uint32), "B200", "fp32") == fp32(2.0**-9)


@pytest.mark.parametrize("generation", ["H100", "B200"])
def test_fp8_to_fp16_rounds_the_lower_places_first(generation: str) -> None:
    """Of 256 + 2**-4 the fraction is lost where both are in the first block, places k mod 4 < 2, and -256 is not."""
    zero = np.zeros((), np.uint16)
    cancelling = {2: -256.0}
    assert fp8_step({0: 256.0, 1: 2.0**-4} | cancelling, zero, generation, "fp16") == 0
    assert fp8_step({0: 256.0, 3: 2.0**-4} | cancelling, zero, generation, "fp16") == fp16(2.0**-4)
    assert fp8_step({6: 256.0, 4: 2.0**-4} | cancelling, zero, generation, "fp16") == fp16(2.0**-4)
    # c comes last, rounded once more.
    c = np.array(fp16(2048.0), np.uint16)
    assert fp8_step({0: 1.0, 2: 2.0**-4}, c, generation, "fp16") == fp16(2050.0)
    assert fp8_step({0: 1.0}, c, generation, "fp16") == fp16(2048.0)


@pytest.mark.parametrize(
    ("mode", "products", "expected"),
    [  # Losses of the terms, and of the results.
        (("A100", "fp16", "fp32"), 20, 3 * 9 * 2.0**-24 + 3 * 2.0**-23),
        (("B200", "e4m3", "fp32"), 64, 2 * 33 * 2.0**-25 + 4 * 2.0**-23),
        (("H100", "e4m3", "fp16"), 40, 4 * 17 * 2.0**-24 + 6 * 2.0**-10),
    ],
)
def test_a_sum_is_within_its_bound(mode: tuple[str, str, str], products: int, expected: float) -> None:
    assert relative_bound(*mode, products) == pytest.approx(expected, rel=2.0**-8)
    rng = np.random.default_rng(products)
    a, b = (floats(rng, mode[1], (400, products), -2, 2) for _ in range(2))
    c = floats(rng, mode[2], (400,), 0, 4)
    numbers = [
        np.vectorize(lambda bits, name=name: float(number(int(bits), name)[0]))(x)
        for x, name in ((a, mode[1]), (b, mode[1]), (c, mode[2]), (np.array(run(a, b, c, mode)), mode[2]))
    ]
    terms = numbers[0] * numbers[1]
    error = np.abs(numbers[3] - terms.sum(axis=1) - numbers[2])
    assert (error <= expected * (np.abs(terms).sum(axis=1) + np.abs(numbers[2]))).all()


def test_exact_sums_survive_any_cancellation() -> None:
    largest, least = 0x7F7F, 0x0001
    a = np.array([[largest, least, largest | 0x8000, 0x3F80]], np.uint16)
    b = np.array([[largest, 0x3F80, largest, 0x0080]], np.uint16)
    # 2**-133 and 2**-126 are left.
    assert run(a, b, np.array([1], np.uint32), ("exact", "bf16", "fp32")) == [(1 << 23) + (1 << 16) + 1]
    tiny = np.array([[0x00002000]], np.uint32)  # the least tf32 number, 2**-136
    assert run(tiny, tiny, np.array([0], np.uint32), ("exact", "tf32", "fp32")) == [0]
    # A half of the last place is a tie, that and the least product no longer one.
    a32 = np.array([[0x3F800000, 0x33800000, 0x00002000], [0x3F800000, 0x33800000, 0]], np.uint32)
    b32 = np.array([[0x3F800000, 0x3F800000, 0x00002000], [0x3F800000, 0x3F800000, 0]], np.uint32)
    assert run(a32, b32, np.zeros(2, np.uint32), ("exact", "tf32", "fp32")) == [FP32_ONE + 1, FP32_ONE]


def test_integers_saturate_after_each_block() -> None:
    """A block leaves the range and the next one comes back: what was cut off is lost. Within a block nothing is."""
    a = np.array([[127] * 32 + [0x80] * 32], np.uint8)
    b = np.array([[127] * 64], np.uint8)
    top = np.array([0x7FFFFFFF], np.uint32)
    assert run(a, b, top, ("A100", "int8", "int32_sat")) == [0x7FFFFFFF - 32 * 128 * 127]
    assert run(a, b, top, ("A100", "int8", "int32")) == [0x7FFFFFFF + 32 * (127 - 128) * 127]
    assert run(a, b, top, ("exact", "int8", "int32_sat")) == [0x7FFFFFFF + 32 * (127 - 128) * 127]
    assert run(np.roll(a, 16), b, top, ("A100", "int8", "int32_sat")) == [0x7FFFFFFF - 16 * 127 - 16 * 127]
    assert run(a, b, np.array([0x80000000], np.uint32), ("A100", "int8", "int32")) == [0x80000000 - 32 * 127]


def test_int4_has_a_sign() -> None:
    a, b = np.array([[0x8, 0x7, 0xF]], np.uint8), np.array([[0x8, 0x8, 0x1]], np.uint8)
    assert run(a, b, np.zeros(1, np.uint32), ("A100", "int4", "int32")) == [64 - 56 - 1]


@pytest.mark.parametrize("mode", [("A100", "fp16", "fp32"), ("exact", "tf32", "fp16"), ("H100", "int8", "int32_sat")])
def test_leading_axes_broadcast(mode: tuple[str, str, str]) -> None:
    rng = np.random.default_rng(1)
    a, b = random_bits(rng, mode[1], (4, 1, 5)), random_bits(rng, mode[1], (3, 5))
    c = random_bits(rng, mode[2], (2, 1, 3))
    keywords: dict[str, Any] = dict(zip(("generation", "dtype", "out"), mode, strict=True))
    result = dot(a, b, c, **keywords)
    assert result.shape == (2, 4, 3)
    single = [[[dot(a[i, 0], b[j], c[h, 0, j], **keywords) for j in range(3)] for i in range(4)] for h in range(2)]
    assert np.array_equal(result, np.array(single))
    assert dot(a[:0], b, c[0], **keywords).shape == (0, 3)


GOOD: dict[str, Any] = {"generation": "A100", "dtype": "fp16", "out": "fp32"}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"generation": "T4"},
            "generation must be one of V100, A100, Ada, H100, B200, H100-mma, H100-wgmma, exact, not 'T4'",
        ),
        ({"dtype": "fp64"}, "dtype must be one of fp16, bf16, tf32, e4m3, e5m2, int8, int4, not 'fp64'"),
        ({"out": "bf16"}, "out must be one of fp32, fp16, int32, int32_sat, not 'bf16'"),
        ({"out": "int32"}, "out must be fp32 or fp16 for fp16, not 'int32'"),
        ({"dtype": "bf16"}, "c must be uint32, the raw bits of fp32, not uint16"),
        ({"dtype": "e5m2"}, "dtype e5m2 needs generation Ada or H100 or B200 or H100-mma or H100-wgmma, not A100"),
        ({"dtype": "tf32", "generation": "V100"}, "dtype must be fp16 on V100, not tf32"),
        ({"dtype": "tf32", "out": "fp16"}, "out must be fp32 for tf32 on A100, not fp16"),
        ({"dtype": "tf32"}, "a must be uint32, the raw bits of tf32, not uint16"),
        ({"b": np.zeros((2, 4), np.int16)}, "b must be uint16, the raw bits of fp16, not int16"),
        ({"a": np.zeros((2, 3), np.uint16)}, r"the same last axis, at least 1, not the shapes \(2, 3\) and \(2, 4\)"),
        ({"a": np.zeros((2, 0), np.uint16), "b": np.zeros((2, 0), np.uint16)}, r"at least 1, not the shapes \(2, 0\)"),
        ({"a": np.zeros((), np.uint16)}, r"the same last axis, at least 1, not the shapes \(\) and \(2, 4\)"),
        ({"a": np.zeros((3, 4), np.uint16)}, r"leading axes of a \(3, 4\), b \(2, 4\) and c \(2,\) do not broadcast"),
    ],
)
def test_dot_says_what_is_wrong(change: dict[str, Any], message: str) -> None:
    numbers: dict[str, Any] = {
        "a": np.zeros((2, 4), np.uint16),
        "b": np.zeros((2, 4), np.uint16),
        "c": np.zeros(2, np.uint32),
    }
    if message.startswith("c must"):
        numbers["c"] = np.zeros(2, np.uint16)
    with pytest.raises(ValueError, match=message):
        dot(**{**numbers, **GOOD, **change})


@pytest.mark.parametrize("which", ["a", "b"])
def test_int4_needs_its_high_half_clear(which: str) -> None:
    numbers: dict[str, Any] = {
        "a": np.full((1, 4), 15, np.uint8),
        "b": np.full((1, 4), 15, np.uint8),
        "c": np.zeros(1, np.uint32),
    }
    keywords: dict[str, Any] = {"generation": "A100", "dtype": "int4", "out": "int32"}
    assert dot(**numbers, **keywords).tolist() == [4]
    numbers[which][0, 2] = 16
    with pytest.raises(ValueError, match=f"{which} must be below 16, the raw bits of int4, not 16"):
        dot(**numbers, **keywords)


@pytest.mark.parametrize("mode", [*RULES, *EXACT_MODES, *INT_MODES], ids=named)
def test_matmul_is_dot_of_chosen_rows(mode: tuple[str, str, str]) -> None:
    """In any order, and any number of times."""
    rng = np.random.default_rng(7)
    keywords: dict[str, Any] = dict(zip(("generation", "dtype", "out"), mode, strict=True))
    values, _, c_row = hostile(rng, mode[1], mode[2], 6, 21)
    _, b, _ = hostile(rng, mode[1], mode[2], 9, 5)
    c = np.stack([np.roll(c_row, shift) for shift in range(5)], axis=1)
    where = rng.integers(0, 9, (6, 21)).astype(np.int32)
    expected = dot(values[:, None], b[where].transpose(0, 2, 1), c, **keywords)
    assert np.array_equal(matmul(values, where, b, c, **keywords), expected)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"values": np.zeros((2, 0), np.uint16)}, r"two equal matrices, not \(2, 0\) and \(2, 3\)"),
        ({"where": np.zeros((3, 3), np.int32)}, r"two equal matrices, not \(2, 3\) and \(3, 3\)"),
        ({"where": np.full((2, 3), 4, np.int32)}, "where must name rows of b, 0 to 3, not 4 to 4"),
        ({"where": np.full((2, 3), -1, np.int32)}, "where must name rows of b, 0 to 3, not -1 to -1"),
        ({"c": np.zeros((2, 4), np.uint32)}, r"c must be 2 x the columns of b \(4, 5\), not \(2, 4\)"),
        ({"b": np.zeros(4, np.uint16)}, r"the columns of b \(4,\)"),
        ({"values": np.zeros((2, 3), np.uint8)}, "values must be uint16, the raw bits of fp16, not uint8"),
        ({"generation": "A10"}, "generation must be one of"),
    ],
)
def test_matmul_says_what_is_wrong(change: dict[str, Any], message: str) -> None:
    good: dict[str, Any] = {
        "values": np.zeros((2, 3), np.uint16),
        "where": np.zeros((2, 3), np.int32),
        "b": np.zeros((4, 5), np.uint16),
        "c": np.zeros((2, 5), np.uint32),
        **GOOD,
    }
    matmul(**good)
    with pytest.raises(ValueError, match=message):
        matmul(**{**good, **change})


def blocks_of(values: NDArray[Any], b: NDArray[Any], c: NDArray[Any], geometry: TileGeometry) -> NDArray[Any]:
    """Every element by itself, from the dense matrix and plain numbers."""
    mode = (geometry.generation, geometry.dtype, geometry.out)
    result = np.empty_like(c)
    for i, j in np.ndindex(*c.shape):
        row, column, addend = values[i : i + 1], b[None, :, j], c[i : i + 1, j]
        if geometry.out.startswith("int32"):
            saturate = geometry.out == "int32_sat"
            bits = geometry.operand.bits
            result[i, j] = expected_integers(row, column, addend, bits, geometry.k, saturate)[0]
        else:
            result[i, j] = expected_floats(row, column, addend, mode)[0]
    return result


@pytest.mark.parametrize(
    "geometry",
    [
        TileGeometry(),
        TileGeometry(generation="V100", k=4, out="fp16"),
        TileGeometry(dtype="int8", out="int32_sat", k=12, keep=4, group=8, pair=2),
        TileGeometry(dtype="tf32", k=4, keep=1, group=2),
    ],
    ids=lambda g: f"{g.dtype}-{g.pattern}",
)
@pytest.mark.parametrize("columns", [1, 8, 37])
def test_gemm(geometry: TileGeometry, columns: int) -> None:
    """Sparse: blocks over the kept values, in order. Dense: over all of them."""
    rng = np.random.default_rng(columns)
    a, _, _ = hostile(rng, geometry.dtype, geometry.out, 5, columns)
    b = hostile(rng, geometry.dtype, geometry.out, columns, 6)[0]
    c = np.stack([hostile(rng, geometry.dtype, geometry.out, 5, 1)[2] for _ in range(6)], axis=1)
    dense = gemm(dense_operand(a, geometry.pattern), b, c, geometry)
    assert np.array_equal(dense, blocks_of(a, b, c, geometry))

    # Of each group the first values stay.
    mask = np.arange(columns) % geometry.group < geometry.keep
    operand = sparse_operand(a, geometry.pattern, dtype=geometry.dtype, mask=np.broadcast_to(mask, a.shape))
    assert np.array_equal(gemm(operand, b, c, geometry), blocks_of(a[:, mask], b[mask], c, geometry))


def test_infinities_that_metadata_does_not_name_are_not_met() -> None:
    a = np.array([[FP16_ONE, 0, FP16_ONE, 0]], np.uint16)
    b = np.array([[FP16_ONE, 0x7C00, FP16_ONE, 0x7E00]], np.uint16).T
    c = np.zeros((1, 1), np.uint32)
    geometry = TileGeometry()
    assert gemm(sparse_operand(a, Pattern(), dtype="fp16"), b, c, geometry) == fp32(2)
    assert gemm(dense_operand(a, Pattern()), b, c, geometry) == 0x7FFFFFFF
