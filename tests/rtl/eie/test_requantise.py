from itertools import groupby
from typing import Any

import numpy as np
import pytest
from amaranth.sim import Simulator
from hypothesis import given, settings
from hypothesis import strategies as st
from support.bench import geometry

from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.golden import VALUE_MAX, VALUE_MIN, requantise
from zeroskip.rtl.eie.requantise import Requantise

Vector = tuple[int, int, bool]
"""Accumulator, shift, relu."""


def rtl_requantise(geometry: EieGeometry, vectors: list[Vector]) -> list[int]:
    """The numbers of one shift and relu go in one a cycle; between them and others, the unit rests for a cycle."""
    dut, outputs = Requantise(geometry), dict[Vector, int]()

    async def testbench(ctx: Any) -> None:
        for (shift, relu), group in groupby(sorted(vectors, key=lambda v: v[1:]), lambda v: v[1:]):
            ctx.set(dut.shift, shift)
            ctx.set(dut.relu, relu)
            await ctx.tick()
            numbers = [i for i, *_ in group]
            for cycle in range(len(numbers) + dut.latency):
                if cycle >= dut.latency:
                    outputs[numbers[cycle - dut.latency], shift, relu] = ctx.get(dut.o)
                if cycle < len(numbers):
                    ctx.set(dut.i, numbers[cycle])
                await ctx.tick()

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(testbench)
    simulator.run()
    return [outputs[vector] for vector in vectors]


def expected(vectors: list[Vector]) -> list[int]:
    def one(i: int, shift: int, relu: bool) -> int:
        return int(np.clip(requantise(np.array([i], np.int64), shift, relu=relu), VALUE_MIN, VALUE_MAX)[0])

    return [one(*vector) for vector in vectors]


def accumulators(bits: int) -> st.SearchStrategy[int]:
    return st.integers(-(1 << (bits - 1)), (1 << (bits - 1)) - 1)


def vectors(bits: int) -> st.SearchStrategy[list[Vector]]:
    """Any accumulator, and small multiples of half a unit."""

    def around_ties(shift: int) -> st.SearchStrategy[int]:
        half = (1 << shift) >> 1 or 1
        most = min(9, ((1 << (bits - 1)) - 1) // half)
        near = st.tuples(st.integers(-most, most - 1 or 1), st.integers(-1, 1)).map(lambda p: p[0] * half + p[1])
        return near.filter(lambda i: -(1 << (bits - 1)) <= i < 1 << (bits - 1))

    def one(shift: int) -> st.SearchStrategy[Vector]:
        return st.tuples(accumulators(bits) | around_ties(shift), st.just(shift), st.booleans())

    return st.lists(st.integers(0, bits - 1).flatmap(one), min_size=1, max_size=60)


@pytest.mark.parametrize("bits", [16, 20, 32, 48])
def test_equals_the_golden_model(bits: int) -> None:
    @settings(max_examples=40, deadline=None, derandomize=True)
    @given(vectors(bits))
    def check(vectors: list[Vector]) -> None:
        assert rtl_requantise(geometry(accumulator_bits=bits), vectors) == expected(vectors)

    check()


@pytest.mark.parametrize("bits", [16, 20, 32, 48])
@pytest.mark.parametrize("relu", [False, True])
def test_ties_and_extremes_at_every_shift(bits: int, relu: bool) -> None:
    highest, lowest = (1 << (bits - 1)) - 1, -(1 << (bits - 1))
    vectors = []
    for shift in range(bits):
        half = (1 << shift) >> 1
        ties = [n * half + step for n in range(-5, 6) for step in (-1, 0, 1)]
        edges = [(limit << shift) + step for limit in (VALUE_MIN, VALUE_MAX) for step in (-half - 1, -half, 0, half)]
        values = [highest, highest - 1, lowest, lowest + 1, *ties, *edges]
        vectors += [(value, shift, relu) for value in values if lowest <= value <= highest]
    assert rtl_requantise(geometry(accumulator_bits=bits), vectors) == expected(vectors)
