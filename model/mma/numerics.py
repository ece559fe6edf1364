"""Number formats of tensor cores, and the rule by which each generation of GPUs adds a block of products.

The parameters are those that Khattak and Mikaitis (arXiv 2512.07004) and Xie et al. (MMA-Sim, arXiv 2511.10909) found
by probing the GPUs, but for fp8 on B200 and some fp8 modes of H100, which were found by a search over captured results.
All modes of H100 are held to results of an H100, dense and sparse (tests/model/mma/test_captures.py).
`zeroskip.model.mma.golden` states the rule itself.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, kw_only=True)
class FloatFormat:
    """A binary floating-point format; `bits` is its storage, whose `dropped` low bits the multiplier ignores."""

    exponent_bits: int
    mantissa_bits: int
    bits: int
    dropped: int = 0
    infinities: bool = True
    """Whether the top exponent holds infinities and NaN; in e4m3 it holds numbers, and all ones are NaN."""

    @property
    def bias(self) -> int:
        return (1 << (self.exponent_bits - 1)) - 1

    @property
    def operand_bits(self) -> int:
        """Bits that reach the multiplier."""
        return self.bits - self.dropped

    @property
    def sign_bit(self) -> int:
        return 1 << (self.bits - 1)


@dataclass(frozen=True, kw_only=True)
class IntFormat:
    """A two's-complement integer; arrays of raw bits hold one number an element, int4 in the low half of a byte."""

    bits: int

    @property
    def operand_bits(self) -> int:
        return self.bits

    @property
    def sign_bit(self) -> int:
        return 1 << (self.bits - 1)


OPERANDS: dict[str, FloatFormat | IntFormat] = {
    "fp16": FloatFormat(exponent_bits=5, mantissa_bits=10, bits=16),
    "bf16": FloatFormat(exponent_bits=8, mantissa_bits=7, bits=16),
    "tf32": FloatFormat(exponent_bits=8, mantissa_bits=10, bits=32, dropped=13),
    "e4m3": FloatFormat(exponent_bits=4, mantissa_bits=3, bits=8, infinities=False),
    "e5m2": FloatFormat(exponent_bits=5, mantissa_bits=2, bits=8),
    "int8": IntFormat(bits=8),
    "int4": IntFormat(bits=4),
}
"""Formats of A and B by name (`dtype`)."""

FP32 = FloatFormat(exponent_bits=8, mantissa_bits=23, bits=32)
FP16 = FloatFormat(exponent_bits=5, mantissa_bits=10, bits=16)

RESULTS: dict[str, FloatFormat | IntFormat] = {
    "fp32": FP32,
    "fp16": FP16,
    "int32": IntFormat(bits=32),
    "int32_sat": IntFormat(bits=32),
}
"""Formats of C and D by name (`out`): int32 wraps, int32_sat saturates (PTX: `.satfinite`)."""

EXACT = "exact"
"""The generation that no GPU is: the exact sum, rounded to nearest even once."""

GENERATIONS = ("V100", "A100", "Ada", "H100", "B200", "H100-mma", "H100-wgmma")
"""GPUs. The two instructions of Hopper add fp8 differently, and only fp8: "H100-mma" is `mma.sync`, "H100-wgmma" is
`wgmma`. Plain "H100" is `wgmma` for fp32 results of fp8 and `mma.sync` for its fp16 results."""

UNDERFLOW_KEEPS_SIGN = False
"""Whether a negative sum that truncation or rounding makes zero is -0, or +0 like a sum that is zero.

An H100 gives +0 in every mode (tests/model/mma/test_captures.py). For the other GPUs no result decides it; their
independent models (MMA-Sim among them) give +0, too. This is the only place where it is said: the golden model and the
tile read it by `block_rule`.
"""


def raw_type(form: FloatFormat | IntFormat) -> np.dtype:
    """The unsigned type that holds a format's raw bits: uint8, uint16 or uint32."""
    return np.dtype(f"uint{max(8, form.bits)}")


def check_bits(name: str, bits: NDArray[Any], form: str) -> None:
    """Raise ValueError unless the array holds raw bits of the format."""
    chosen = (OPERANDS | RESULTS)[form]
    if not isinstance(bits, np.ndarray | np.generic):
        raise ValueError(
            f"{name} must be an array of {raw_type(chosen)}, the raw bits of {form}, not {type(bits).__name__}"
        )
    if bits.dtype != raw_type(chosen):
        raise ValueError(f"{name} must be {raw_type(chosen)}, the raw bits of {form}, not {bits.dtype}")
    if chosen.bits < 8 and bits.size and bits.max() >> chosen.bits:
        raise ValueError(f"{name} must be below {1 << chosen.bits}, the raw bits of {form}, not {bits.max()}")


@dataclass(frozen=True, kw_only=True)
class BlockRule:
    """How blocks of products and the addend c become one result (zeroskip.model.mma.golden)."""

    products: int
    """Products that are added at once (K')."""
    fraction_bits: int
    """Bits kept below the largest exponent (F); what lies further down is cut off each term."""
    floor: int | None
    """The largest exponent counts as at least this."""
    kept_bits: int
    """Mantissa bits of an fp32 result; the rest is zero (13 in the fp8 modes of Ada and Hopper)."""
    nearest: bool
    """Whether a block's sum is rounded to nearest even; otherwise it is cut off."""
    step: int
    """Products of a step: one block, or several. A tile multiplies a step in a cycle."""
    addend_last: bool
    """Whether a step adds from zero, and c to its result at the end, to nearest even; otherwise c is a term of the
    block."""
    underflow_keeps_sign: bool
    """UNDERFLOW_KEEPS_SIGN."""

    @property
    def places(self) -> tuple[int, ...]:
        """The places of a step's products in the order of the blocks: of each four neighbours the first block takes
        the lower two, where there are two blocks."""
        order = range(self.step)
        return tuple(order if self.step == self.products else sorted(order, key=lambda place: place % 4 >= 2))


_WIDE: dict[
    str, tuple[int, int, int | None, int]
] = {  # Generation: products of 16 bits, fraction bits, floors of fp32 and fp16 results.
    "V100": (4, 23, None, -19),
    "A100": (8, 24, -132, -20),
    "Ada": (8, 24, -132, -20),
    "H100": (16, 25, -133, -21),
    "B200": (16, 25, -133, -21),
}
_WGMMA = {
    "fp32": {"products": 32, "fraction_bits": 13, "kept_bits": 13},
    "fp16": {"products": 32, "fraction_bits": 13},
}
_TWO_BLOCKS = {
    "fp32": {"products": 16, "step": 32, "fraction_bits": 25, "addend_last": True},
    "fp16": {"products": 16, "step": 32, "fraction_bits": 24, "addend_last": True},
}
_FP8: dict[str, dict[str, dict[str, Any]]] = {
    "Ada": {
        "fp32": {"products": 16, "fraction_bits": 13, "kept_bits": 13},
        "fp16": {"products": 16, "fraction_bits": 13},
    },
    "H100": {"fp32": _WGMMA["fp32"], "fp16": _TWO_BLOCKS["fp16"]},
    "B200": {
        "fp32": {"products": 32, "fraction_bits": 25, "nearest": True, "addend_last": True},
        "fp16": _TWO_BLOCKS["fp16"],
    },
    "H100-mma": _TWO_BLOCKS,
    "H100-wgmma": _WGMMA,
}
"""What differs from the rule of 16-bit operands, by generation and result."""
_HOPPER_INSTRUCTIONS = ("H100-mma", "H100-wgmma")
_INTEGERS = {"A100": ("int8", "int4"), "Ada": ("int8", "int4"), "H100": ("int8",), "B200": ("int8",)}


INTEGER_BLOCK = {"int8": 32, "int4": 64}
"""Products between two saturations of int32_sat: the depth of `mma.m16n8k32` and `m16n8k64` (PTX ISA 9.1)."""


def check_mode(generation: str, dtype: str, out: str) -> None:
    """Raise ValueError unless this generation multiplies `dtype` into `out`, by a rule that is known."""
    for name, value, known in (
        ("generation", generation, (*GENERATIONS, EXACT)),
        ("dtype", dtype, tuple(OPERANDS)),
        ("out", out, tuple(RESULTS)),
    ):
        if value not in known:
            raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r}")
    integer = isinstance(OPERANDS[dtype], IntFormat)
    if integer != isinstance(RESULTS[out], IntFormat):
        raise ValueError(f"out must be {'int32 or int32_sat' if integer else 'fp32 or fp16'} for {dtype}, not {out!r}")
    if generation == EXACT:
        return
    if generation in _HOPPER_INSTRUCTIONS and dtype not in ("e4m3", "e5m2"):
        raise ValueError(
            f"dtype must be e4m3 or e5m2 for {generation}, not {dtype}; H100 takes it, by both instructions"
        )
    if integer:
        if dtype not in _INTEGERS.get(generation, ()):
            raise ValueError(f"dtype {dtype} is not one that the tensor cores of {generation} multiply")
    elif dtype in ("e4m3", "e5m2"):
        if generation not in _FP8:
            raise ValueError(f"dtype {dtype} needs generation {' or '.join(_FP8)}, not {generation}")
    elif generation == "V100" and dtype != "fp16":
        raise ValueError(f"dtype must be fp16 on V100, not {dtype}")
    elif out == "fp16" and dtype != "fp16":
        raise ValueError(f"out must be fp32 for {dtype} on {generation}, not fp16")


def block_rule(generation: str, dtype: str, out: str) -> BlockRule:
    """The rule of a float mode. Raises ValueError for what check_mode refuses, for integers and for EXACT."""
    check_mode(generation, dtype, out)
    if generation == EXACT or isinstance(OPERANDS[dtype], IntFormat):
        raise ValueError(f"{dtype} on {generation} is not added by the block rule")
    products, fraction_bits, floor32, floor16 = _WIDE["H100" if generation in _HOPPER_INSTRUCTIONS else generation]
    fields: dict[str, Any] = {
        "products": products // 2 if dtype == "tf32" else products,
        "fraction_bits": fraction_bits,
        "floor": floor32 if out == "fp32" else floor16,
        "kept_bits": 23,
        "nearest": out == "fp16",
        "addend_last": False,
        "underflow_keeps_sign": UNDERFLOW_KEEPS_SIGN,
    }
    if dtype in ("e4m3", "e5m2"):
        fields |= _FP8[generation][out]
    return BlockRule(**{"step": fields["products"], **fields})
