"""The last stages of a sum, against numpy's conversions, at both ends of the result's exponents."""

from __future__ import annotations

from random import Random
from typing import Any

import numpy as np
import pytest
from amaranth.hdl import Const, Module
from amaranth.lib import wiring
from amaranth.lib.wiring import In, Out
from support.bench import pipelined

from zeroskip.model.mma.numerics import FP16, OPERANDS, RESULTS, FloatFormat, block_rule
from zeroskip.rtl.mma.block_sum import BlockSum
from zeroskip.rtl.mma.floats import pack
from zeroskip.rtl.mma.plus import Plus
from zeroskip.rtl.mma.rounding import Rounding, Special

MODES = [
    ("V100", "fp16", "fp32"),
    ("V100", "fp16", "fp16"),
    ("A100", "tf32", "fp32"),
    ("H100-wgmma", "e5m2", "fp16"),
    ("H100-wgmma", "e4m3", "fp32"),
    ("B200", "e4m3", "fp32"),
]
"""Truncated and rounded to nearest, all mantissa bits and fewer, exponents of products within and far beyond the
result's."""


def _of_mode(generation: str, dtype: str, out: str) -> Rounding:
    form, result = OPERANDS[dtype], RESULTS[out]
    assert isinstance(form, FloatFormat)
    assert isinstance(result, FloatFormat)
    return BlockSum(form, result, block_rule(generation, dtype, out)).rounding


ROUNDINGS = {" ".join(mode): _of_mode(*mode) for mode in MODES} | {"plus": Plus(FP16).rounding}


class Rounded(wiring.Component):
    def __init__(self, rounding: Rounding) -> None:
        self.rounding = rounding
        room_bits = rounding.most_room.bit_length()
        bits = rounding.magnitude_bits + 1
        super().__init__({"total": In(bits), "room": In(room_bits), "negated": In(1), "d": Out(rounding.result.bits)})

    def elaborate(self, platform: Any) -> Module:
        m = Module()
        none = dict.fromkeys(("not_number", "infinity", "infinity_sign", "zero_sign"), Const(0))
        special = Special(room=self.room, negated=self.negated, **none)
        m.d.sync += self.d.eq(pack(self.rounding.finish(m, self.total.as_signed(), special), self.rounding.result))
        return m


LATENCY = 3


def rtl_rounded(rounding: Rounding, cases: list[tuple[int, int, int]]) -> list[int]:
    """The results of totals, rooms and whether the total is negated, one case a cycle."""
    vectors = [dict(zip(("total", "room", "negated"), case, strict=True)) for case in cases]
    return pipelined(Rounded(rounding), vectors, "d", LATENCY)


def expected(rounding: Rounding, total: int, room: int, negated: int) -> int:
    """The bits that numpy gives. What is truncated is infinite only if it has no exponent: otherwise nearest takes the
    next number towards zero, where it is not that."""
    form = rounding.result
    kind, raw = (np.float16, np.uint16) if form == FP16 else (np.float32, np.uint32)
    # A one in the highest place, after `room` places, has the smallest exponent, one less than the bias below zero.
    value = (-total if negated else total) * 2.0 ** (room + 1 - form.bias - (rounding.widened_bits - 1))
    with np.errstate(over="ignore"):
        nearest = kind(value)
    if not rounding.nearest and abs(float(nearest)) > abs(value) and abs(value) < 2.0 ** (form.bias + 1):
        nearest = np.nextafter(nearest, kind(0))
    bits = int(nearest.view(raw))
    dropped = form.mantissa_bits - rounding.kept_bits
    return bits if rounding.nearest else bits >> dropped << dropped


def cases_of(rounding: Rounding) -> list[tuple[int, int, int]]:
    """Each power of two, its neighbours and a random number of its length, of both signs, near both ends of room."""
    random = Random(rounding.widened_bits)
    near = rounding.widened_bits + 3
    rooms = {*range(min(near, rounding.most_room)), *range(max(0, rounding.most_room - near), rounding.most_room + 1)}
    totals = {0}
    for place in range(rounding.magnitude_bits):
        one = 1 << place
        totals |= {one, one - 1, one + 1, one | random.getrandbits(place) if place else one}
    totals = {total for total in totals if total < 1 << rounding.magnitude_bits}
    signed = sorted(totals | {-total for total in totals})
    cases = [(total, room, random.getrandbits(1)) for room in sorted(rooms) for total in signed]
    return random.sample(cases, min(len(cases), 4_000))


@pytest.mark.parametrize("name", ROUNDINGS)
def test_results_are_those_of_numpy(name: str) -> None:
    rounding = ROUNDINGS[name]
    cases = cases_of(rounding)
    found = rtl_rounded(rounding, cases)
    wanted = [expected(rounding, *case) for case in cases]
    assert found == wanted
    infinite = ((1 << rounding.result.exponent_bits) - 1) << rounding.result.mantissa_bits
    assert {bits & (rounding.result.sign_bit - 1) for bits in found} > {0, infinite}
