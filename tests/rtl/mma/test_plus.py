"""The sum of two floating-point numbers, against numpy's."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from numpy.typing import NDArray
from support.bench import pipelined
from support.operands import floats, random_bits

from zeroskip.model.mma.numerics import FP16, FP32, FloatFormat
from zeroskip.rtl.mma.floats import pack, unpack
from zeroskip.rtl.mma.plus import Plus

FORMATS: dict[str, tuple[FloatFormat, Any, Any]] = {
    "fp16": (FP16, np.float16, np.uint16),
    "fp32": (FP32, np.float32, np.uint32),
}


class Adder(wiring.Component):
    def __init__(self, form: FloatFormat) -> None:
        self.form = form
        super().__init__({"x": In(form.bits), "y": In(form.bits), "sum": Out(form.bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        m.d.sync += self.sum.eq(
            pack(Plus(self.form).add(m, *(unpack(value, self.form) for value in (self.x, self.y))), self.form)
        )
        return m


def rtl_plus(x: NDArray[Any], y: NDArray[Any], form: FloatFormat) -> list[int]:
    """Sums of raw bits, one pair a cycle."""
    vectors = [{"x": left, "y": right} for left, right in zip(x.tolist(), y.tolist(), strict=True)]
    return pipelined(Adder(form), vectors, "sum", Plus.STAGES)


@pytest.mark.parametrize("name", FORMATS)
def test_sums_are_those_of_numpy(name: str) -> None:
    """All bit patterns, subnormal numbers, close exponents that cancel and carry, distances that leave a trace, and
    zeros of both signs. NaN has all bits but the sign."""
    form, kind, raw = FORMATS[name]
    rng = np.random.default_rng(7)
    parts = [(random_bits(rng, name, (400,)), random_bits(rng, name, (400,)))]
    for low, high in ((-1, 1), (-14, 14), (-30, 30), (-form.bias - 2, 3 - form.bias), (form.bias - 1, form.bias)):
        parts.append((floats(rng, name, (600,), low, high), floats(rng, name, (600,), low, high)))
    signs = np.array([0, form.sign_bit], raw)
    parts.append((signs.repeat(2), np.tile(signs, 2)))
    x, y = (np.concatenate(part).astype(raw) for part in zip(*parts, strict=True))
    # Opposite numbers.
    y[::50] = x[::50] ^ raw(form.sign_bit)
    with np.errstate(all="ignore"):
        expected = x.view(kind) + y.view(kind)
    bits = np.where(np.isnan(expected), raw((1 << (form.bits - 1)) - 1), expected.view(raw))
    assert rtl_plus(x, y, form) == bits.tolist()
