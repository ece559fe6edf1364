"""The modes of tensor cores: which there are, their parameters, and the raw bits that they take."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from zeroskip.model.mma.numerics import (
    EXACT,
    GENERATIONS,
    OPERANDS,
    RESULTS,
    FloatFormat,
    block_rule,
    check_bits,
    check_mode,
    raw_type,
)

FP8_GENERATIONS = ("Ada", "H100", "B200", "H100-mma", "H100-wgmma")
MODES = {
    *(("V100", "fp16", out) for out in ("fp32", "fp16")),
    *((generation, "fp16", "fp16") for generation in ("A100", "Ada", "H100", "B200")),
    *((g, dtype, "fp32") for g in ("A100", "Ada", "H100", "B200") for dtype in ("fp16", "bf16", "tf32")),
    *((g, dtype, out) for g in FP8_GENERATIONS for dtype in ("e4m3", "e5m2") for out in ("fp32", "fp16")),
    *((g, dtype, out) for g in ("A100", "Ada") for dtype in ("int8", "int4") for out in ("int32", "int32_sat")),
    *((g, "int8", out) for g in ("H100", "B200") for out in ("int32", "int32_sat")),
    *((EXACT, dtype, out) for dtype in ("fp16", "bf16", "tf32", "e4m3", "e5m2") for out in ("fp32", "fp16")),
    *((EXACT, dtype, out) for dtype in ("int8", "int4") for out in ("int32", "int32_sat")),
}


def known(generation: str, dtype: str, out: str) -> bool:
    try:
        check_mode(generation, dtype, out)
    except ValueError:
        return False
    return True


def test_modes_are_those_of_the_gpus() -> None:
    tried = itertools.product((*GENERATIONS, EXACT, "T4"), (*OPERANDS, "fp64"), (*RESULTS, "bf16"))
    assert {mode for mode in tried if known(*mode)} == MODES


@pytest.mark.parametrize(
    ("mode", "message"),
    [
        (
            ("T4", "fp16", "fp32"),
            "generation must be one of V100, A100, Ada, H100, B200, H100-mma, H100-wgmma, exact, not 'T4'",
        ),
        (("A100", "fp64", "fp32"), "dtype must be one of fp16, bf16, tf32, e4m3, e5m2, int8, int4, not 'fp64'"),
        (("A100", "fp16", "bf16"), "out must be one of fp32, fp16, int32, int32_sat, not 'bf16'"),
        (("A100", "int8", "fp32"), "out must be int32 or int32_sat for int8, not 'fp32'"),
        (("A100", "bf16", "int32"), "out must be fp32 or fp16 for bf16, not 'int32'"),
        (("V100", "int8", "int32"), "dtype int8 is not one that the tensor cores of V100 multiply"),
        (("H100", "int4", "int32"), "dtype int4 is not one that the tensor cores of H100 multiply"),
        (("B200", "int4", "int32"), "dtype int4 is not one that the tensor cores of B200 multiply"),
        (("H100-mma", "fp16", "fp32"), "dtype must be e4m3 or e5m2 for H100-mma, not fp16; H100 takes it"),
        (("H100-wgmma", "int8", "int32"), "dtype must be e4m3 or e5m2 for H100-wgmma, not int8; H100 takes it"),
        (("H100", "bf16", "fp16"), "out must be fp32 for bf16 on H100, not fp16"),
        (
            ("A100", "e4m3", "fp32"),
            "dtype e4m3 needs generation Ada or H100 or B200 or H100-mma or H100-wgmma, not A100",
        ),
        (
            ("V100", "e4m3", "fp16"),
            "dtype e4m3 needs generation Ada or H100 or B200 or H100-mma or H100-wgmma, not V100",
        ),
        (("V100", "bf16", "fp32"), "dtype must be fp16 on V100, not bf16"),
    ],
)
def test_unknown_modes_are_named(mode: tuple[str, str, str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        check_mode(*mode)
    with pytest.raises(ValueError, match=message):
        block_rule(*mode)


RULES = {  # Products, fraction bits, floor, kept bits, by Khattak and Mikaitis.
    ("V100", "fp16", "fp16"): (4, 23, -19, 23),
    ("A100", "fp16", "fp32"): (8, 24, -132, 23),
    ("A100", "tf32", "fp32"): (4, 24, -132, 23),
    ("Ada", "fp16", "fp16"): (8, 24, -20, 23),
    ("Ada", "e5m2", "fp32"): (16, 13, -132, 13),
    ("H100", "bf16", "fp32"): (16, 25, -133, 23),
    ("H100", "tf32", "fp32"): (8, 25, -133, 23),
    ("H100", "fp16", "fp16"): (16, 25, -21, 23),
    ("H100", "e4m3", "fp32"): (32, 13, -133, 13),
    ("B200", "bf16", "fp32"): (16, 25, -133, 23),
    ("B200", "fp16", "fp16"): (16, 25, -21, 23),
    ("Ada", "e4m3", "fp16"): (16, 13, -20, 23),
    ("H100", "e5m2", "fp16"): (16, 24, -21, 23),
    ("B200", "e4m3", "fp32"): (32, 25, -133, 23),
    ("H100-mma", "e4m3", "fp32"): (16, 25, -133, 23),
    ("H100-wgmma", "e5m2", "fp16"): (32, 13, -21, 23),
}


@pytest.mark.parametrize("mode", RULES, ids="-".join)
def test_rules(mode: tuple[str, str, str]) -> None:
    rule = block_rule(*mode)
    assert (rule.products, rule.fraction_bits, rule.floor, rule.kept_bits) == RULES[mode]
    assert rule.step == (32 if rule.addend_last else rule.products)


def test_which_modes_add_c_last() -> None:
    found = {mode for mode in MODES if mode[0] != EXACT and "int" not in mode[2] and block_rule(*mode).addend_last}
    assert found == {
        *((g, dtype, "fp16") for g in ("H100", "B200", "H100-mma") for dtype in ("e4m3", "e5m2")),
        *(("H100-mma", dtype, "fp32") for dtype in ("e4m3", "e5m2")),
        *(("B200", dtype, "fp32") for dtype in ("e4m3", "e5m2")),
    }


def test_places_of_the_blocks() -> None:
    """The lower two of each four come first."""
    places = block_rule("H100", "e4m3", "fp16").places
    assert places[:6] == (0, 1, 4, 5, 8, 9)
    assert places[16:22] == (2, 3, 6, 7, 10, 11)
    assert sorted(places) == [*range(32)]
    assert block_rule("B200", "e4m3", "fp32").places == (*range(32),)


def test_ada_adds_up_as_a100_does() -> None:
    for dtype, out in (("fp16", "fp32"), ("fp16", "fp16"), ("bf16", "fp32"), ("tf32", "fp32")):
        assert block_rule("Ada", dtype, out) == block_rule("A100", dtype, out)


def test_v100_has_no_floor_for_fp32() -> None:
    assert block_rule("V100", "fp16", "fp32").floor is None
    assert block_rule("V100", "fp16", "fp16").floor == -19


@pytest.mark.parametrize("mode", [(EXACT, "fp16", "fp32"), ("A100", "int8", "int32")])
def test_there_is_no_rule_for_exact_sums_and_integers(mode: tuple[str, str, str]) -> None:
    with pytest.raises(ValueError, match=f"{mode[1]} on {mode[0]} is not added by the block rule"):
        block_rule(*mode)


@pytest.mark.parametrize(
    ("name", "bits", "bias", "operand_bits", "sign"),
    [
        ("fp16", "uint16", 15, 16, 0x8000),
        ("bf16", "uint16", 127, 16, 0x8000),
        ("tf32", "uint32", 127, 19, 0x80000000),
        ("e4m3", "uint8", 7, 8, 0x80),
        ("e5m2", "uint8", 15, 8, 0x80),
        ("int8", "uint8", None, 8, 0x80),
        ("int4", "uint8", None, 4, 0x8),
    ],
)
def test_operands(name: str, bits: str, bias: int | None, operand_bits: int, sign: int) -> None:
    form = OPERANDS[name]
    assert (raw_type(form), form.operand_bits, form.sign_bit) == (np.dtype(bits), operand_bits, sign)
    if isinstance(form, FloatFormat):
        assert (form.bias, 1 + form.exponent_bits + form.mantissa_bits) == (bias, operand_bits)


@pytest.mark.parametrize("name", [*OPERANDS, *RESULTS])
def test_raw_bits_are_of_the_right_type(name: str) -> None:
    form = (OPERANDS | RESULTS)[name]
    check_bits("a", np.full(3, (1 << form.bits) - 1, raw_type(form)), name)
    check_bits("a", np.zeros((0, 2), raw_type(form)), name)
    for wrong in {np.dtype(t) for t in ("uint8", "uint16", "uint32", "int8", "int32", "float32")} - {raw_type(form)}:
        with pytest.raises(ValueError, match=f"a must be {raw_type(form)}, the raw bits of {name}, not {wrong}"):
            check_bits("a", np.zeros(3, wrong), name)


def test_int4_is_the_low_half_of_a_byte() -> None:
    with pytest.raises(ValueError, match="a must be below 16, the raw bits of int4, not 255"):
        check_bits("a", np.array([15, 255], np.uint8), "int4")
