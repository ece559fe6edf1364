import math
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
from zeroskip.rtl.mma.floats import fields, leading_zeros


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
        parts = fields(self.bits, self.form)
        for name in self.signature.members:
            if name != "bits":
                m.d.comb += getattr(self, name).eq(getattr(parts, name))
        return m


FORMS = {name: form for name, form in {**OPERANDS, "fp32": FP32, "c16": FP16}.items() if isinstance(form, FloatFormat)}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)
def test_fields_are_those_of_the_golden_model(form: FloatFormat) -> None:
    """Each output of the component for each number; which ones have a meaning depends on the kind of number."""
    random = Random(3)
    bits = list(range(256)) if form.operand_bits == 8 else [random.getrandbits(form.operand_bits) for _ in range(300)]
    # Zero, subnormal, first and last normal, not finite: of both signs.
    edges = [0, 1, (1 << form.mantissa_bits) - 1]
    edges += [1 << form.mantissa_bits, (((1 << form.exponent_bits) - 1) << form.mantissa_bits) - 1]
    edges += [edges[-1] + 1, edges[-1] + 2, (1 << form.operand_bits - 1) - 2, (1 << form.operand_bits - 1) - 1]
    bits += edges + [edge | 1 << form.operand_bits - 1 for edge in edges]
    raw = np.array(bits, np.uint64) << np.uint64(form.dropped)
    significands, exponents = decode(raw.astype(f"uint{form.bits}"), form)
    names = ("sign", "exponent", "significand", "zero", "infinite", "nan")
    for value, found, significand, exponent in zip(
        bits,
        evaluate(Parts(form), [{"bits": value} for value in bits], *names),
        significands.tolist(),
        exponents.tolist(),
        strict=True,
    ):
        sign, field, magnitude, zero, infinite, nan = found
        assert sign == value >> form.operand_bits - 1
        assert zero == (significand == 0 and exponent < 1000)
        finite = exponent < 1000
        assert (infinite or nan) == (not finite)
        if finite:
            assert (field - form.bias, magnitude) == (exponent, abs(significand))
        else:
            mantissa = value & ((1 << form.mantissa_bits) - 1)
            assert nan == (mantissa != 0)
            assert math.copysign(1, significand) == (-1 if sign else 1) or nan
