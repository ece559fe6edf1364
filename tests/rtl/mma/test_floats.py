import math
from dataclasses import dataclass
from random import Random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from support.bench import evaluate

from zeroskip.model.mma.kernels import decode
from zeroskip.model.mma.numerics import FP16, FP32, OPERANDS, FloatFormat
from zeroskip.rtl.mma.floats import leading_zeros, unpack, unpacked_fields


class Zeros(wiring.Component):
    def __init__(self, width: int) -> None:
        self.width = width
        super().__init__({"value": In(width), "zeros": Out(width.bit_length())})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.comb += self.zeros.eq(leading_zeros(m, self.value))
        return m


@pytest.mark.parametrize("width", [1, 2, 4, 8, 16, 64])
def test_leading_zeros(width: int) -> None:
    random = Random(width)
    values = list(range(1 << width)) if width <= 8 else [0]
    for length in range(1, width + 1):
        top = 1 << (length - 1)
        values += [top, 2 * top - 1, top | random.getrandbits(length) & (top - 1)]
    found = evaluate(Zeros(width), [{"value": value} for value in values], "zeros")
    assert found == [(width - value.bit_length(),) for value in values]


class Parts(wiring.Component):
    def __init__(self, form: FloatFormat) -> None:
        self.form = form
        flags = {name: Out(1) for name in ("sign", "zero", "infinite", "nan")}
        sizes = {"exponent": Out(form.exponent_bits), "significand": Out(form.mantissa_bits + 1)}
        super().__init__({"bits": In(form.operand_bits), **flags, **sizes})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        parts = unpacked_fields(unpack(self.bits, self.form), self.form)
        for name in self.signature.members:
            if name != "bits":
                m.d.comb += getattr(self, name).eq(getattr(parts, name))
        return m


FORMS = {name: form for name, form in {**OPERANDS, "fp32": FP32, "c16": FP16}.items() if isinstance(form, FloatFormat)}


def some_bits(form: FloatFormat) -> list[int]:
    """All numbers of 8 bits, some of the wider formats, and those at the borders between their kinds."""
    random = Random(3)
    bits = list(range(256)) if form.operand_bits == 8 else [random.getrandbits(form.operand_bits) for _ in range(300)]
    # Zero, subnormal, first and last normal, not finite: of both signs.
    edges = [0, 1, (1 << form.mantissa_bits) - 1]
    edges += [1 << form.mantissa_bits, (((1 << form.exponent_bits) - 1) << form.mantissa_bits) - 1]
    edges += [edges[-1] + 1, edges[-1] + 2, (1 << form.operand_bits - 1) - 2, (1 << form.operand_bits - 1) - 1]
    return bits + edges + [edge | 1 << form.operand_bits - 1 for edge in edges]


@dataclass(frozen=True)
class Number:
    bits: int
    fields: dict[str, int]
    """Of the RTL."""
    significand: int
    exponent: int
    """Of the golden model, which marks what is not finite by an exponent of 1000 and more."""

    @property
    def finite(self) -> bool:
        return self.exponent < 1000


def numbers(form: FloatFormat) -> list[Number]:
    bits = some_bits(form)
    names = ("sign", "exponent", "significand", "zero", "infinite", "nan")
    found = evaluate(Parts(form), [{"bits": value} for value in bits], *names)
    raw = np.array(bits, np.uint64) << np.uint64(form.dropped)
    significands, exponents = decode(raw.astype(f"uint{form.bits}"), form)
    return [
        Number(value, dict(zip(names, fields, strict=True)), significand, exponent)
        for value, fields, significand, exponent in zip(
            bits, found, significands.tolist(), exponents.tolist(), strict=True
        )
    ]


each_form = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


@each_form
def test_finite_numbers_are_those_of_the_golden_model(form: FloatFormat) -> None:
    for number in numbers(form):
        if number.finite:
            found = number.fields["exponent"] - form.bias, number.fields["significand"]
            assert found == (number.exponent, abs(number.significand))


@each_form
def test_kinds_of_numbers_are_those_of_the_golden_model(form: FloatFormat) -> None:
    for number in numbers(form):
        infinite, nan = number.fields["infinite"], number.fields["nan"]
        assert number.fields["zero"] == (number.finite and number.significand == 0)
        assert (infinite or nan) == (not number.finite)
        if not number.finite:
            assert nan == (number.bits & ((1 << form.mantissa_bits) - 1) != 0)


@each_form
def test_signs_are_those_of_the_golden_model(form: FloatFormat) -> None:
    for number in numbers(form):
        sign = number.fields["sign"]
        assert sign == number.bits >> form.operand_bits - 1
        if not number.finite and not number.fields["nan"]:
            assert math.copysign(1, number.significand) == (-1 if sign else 1)
