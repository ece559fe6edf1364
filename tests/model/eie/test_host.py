"""What the host computes for the array, against exact rational numbers."""

from __future__ import annotations

import math
from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.model.eie.host import MOST_APART, activation_table, run_host
from zeroskip.model.network.host_stages import (
    ActivationStage,
    AddStage,
    ClampStage,
    ConcatStage,
    MultiplyStage,
)

VALUES = st.integers(-(1 << 15), (1 << 15) - 1)
EDGES = st.sampled_from([-(1 << 15), -1, 0, 1, (1 << 15) - 1])
INTEGERS = st.lists(VALUES | EDGES, min_size=4, max_size=4)


def value(integer: int, fraction: int) -> Fraction:
    return Fraction(integer) / Fraction(2) ** fraction


def nearest(exact: Fraction, fraction: int) -> int:
    """The integer of an exact value, with Python's own rounding from the middle to the even one."""
    return max(-(1 << 15), min((1 << 15) - 1, round(exact * Fraction(2) ** fraction)))


@given(INTEGERS, INTEGERS, st.integers(-10, 20), st.integers(-20, 20), st.integers(0, 20), st.booleans())
def test_a_sum_is_exact_and_then_rounded(
    one: list[int], other: list[int], fraction: int, apart: int, coarser: int, relu: bool
) -> None:
    fractions = [fraction, fraction + apart]
    result = max(fractions) - coarser
    parts = [np.array([part], np.int16) for part in (one, other)]
    run = run_host(AddStage(values=4, relu=relu, back=(1, 2)), parts, fractions, result)

    exact = [value(a, fractions[0]) + value(b, fractions[1]) for a, b in zip(one, other, strict=True)]
    exact = [max(total, Fraction(0)) if relu else total for total in exact]
    assert run.outputs.tolist() == [[nearest(total, result) for total in exact]]
    assert run.outputs.dtype == np.int16
    rounded = [round(total * Fraction(2) ** result) for total in exact]
    assert run.values == sum(total != 0 for total in exact)
    assert run.vanished == sum(total != 0 and held == 0 for total, held in zip(exact, rounded, strict=True))
    assert run.saturated == sum(not -(1 << 15) <= held < 1 << 15 for held in rounded)


def test_values_that_are_far_apart_meet_exactly() -> None:
    """The greatest difference that is allowed: a unit of the finer one decides from the middle."""
    parts = [np.array([[1, 1, 3]], np.int16), np.array([[1, -1, 0]], np.int16)]
    run = run_host(AddStage(values=3, relu=False, back=(1, 2)), parts, [1, MOST_APART + 1], 0)
    assert run.outputs.tolist() == [[1, 0, 2]]


@given(INTEGERS, INTEGERS, st.integers(-10, 20), st.integers(-10, 20), st.integers(0, MOST_APART), st.booleans())
def test_a_product_is_exact_and_then_rounded(
    one: list[int], other: list[int], fraction: int, second: int, coarser: int, gated: bool
) -> None:
    """With a factor for every two neighbouring values where `gated`."""
    result = fraction + second - coarser
    factors = other[:2] if gated else other
    parts = [np.array([part], np.int16) for part in (one, factors)]
    run = run_host(MultiplyStage(values=(4, len(factors)), back=(1, 2)), parts, [fraction, second], result)

    each = [other[0], other[0], other[1], other[1]] if gated else other
    exact = [value(a, fraction) * value(b, second) for a, b in zip(one, each, strict=True)]
    assert run.outputs.tolist() == [[nearest(product, result) for product in exact]]
    rounded = [round(product * Fraction(2) ** result) for product in exact]
    assert run.vanished == sum(product != 0 and held == 0 for product, held in zip(exact, rounded, strict=True))
    assert run.saturated == sum(not -(1 << 15) <= held < 1 << 15 for held in rounded)


@given(INTEGERS, INTEGERS, st.integers(-10, 14), st.integers(0, 20), st.integers(0, 20))
def test_a_concatenation_has_the_coarser_format(
    one: list[int], other: list[int], fraction: int, apart: int, coarser: int
) -> None:
    fractions, result = [fraction, fraction + apart], fraction - coarser
    parts = [np.array([part], np.int16) for part in (one, other)]
    run = run_host(ConcatStage(values=(4, 4), back=(1, 2)), parts, fractions, result)

    exact = [value(a, fractions[0]) for a in one] + [value(b, fractions[1]) for b in other]
    assert run.outputs.tolist() == [[nearest(total, result) for total in exact]]
    assert run.saturated == 0


@pytest.mark.parametrize(
    ("low", "high", "fraction", "wanted"),
    [
        (0, 6, 11, [0, 0, 0, 1000, 12288, 12288]),
        (0, None, 11, [0, 0, 0, 1000, 12300, 32767]),
        (-1.0, 1.0, 10, [-1024, -1024, 0, 1000, 1024, 1024]),
        (0, 6, -2, [0, 0, 0, 2, 2, 2]),
        (0, 6, 13, [0, 0, 0, 1000, 12300, 32767]),
        (None, 0.5, 0, [-32768, -1050, 0, 0, 0, 0]),
    ],
)
def test_limits_by_hand(low: float | None, high: float | None, fraction: int, wanted: list[int]) -> None:
    """At 11 fraction bits, 6 is 12,288; 1.5 and 0.5 are rounded to the even 2 and 0; 49,152 does not fit."""
    given_values = np.array([[-32768, -1050, 0, 1000, 12300, 32767]], np.int16)
    run = run_host(ClampStage(values=6, low=low, high=high), [given_values], [fraction], fraction)
    assert run.outputs.tolist() == [wanted]


def every_integer() -> list[int]:
    return list(range(-(1 << 15), 1 << 15))


@pytest.mark.parametrize(("fraction", "result"), [(12, 11), (9, 14), (-2, -3), (15, 3)])
@pytest.mark.parametrize(
    ("function", "argument", "exact"),
    [
        ("leaky_relu", 0.25, lambda x: max(x, x / 4)),
        ("hardswish", 0.0, lambda x: x * max(Fraction(0), min(Fraction(6), x + 3)) / 6),
        ("hardsigmoid", 0.0, lambda x: max(Fraction(0), min(Fraction(6), x + 3)) / 6),
    ],
)
def test_a_table_of_a_rational_function_is_exact_but_in_the_middle(
    function: str, argument: float, exact: Callable[[Fraction], Fraction], fraction: int, result: int
) -> None:
    """Double precision is enough for all but what lies closer than 2**-30 to the middle between two integers."""
    table = activation_table(ActivationStage(values=1, function=function, argument=argument), fraction, result)
    for integer in every_integer()[::7]:
        wanted = exact(value(integer, fraction))
        found, scaled = int(table[integer % (1 << 16)]), wanted * Fraction(2) ** result
        middle = abs(scaled - math.floor(scaled) - Fraction(1, 2)) < Fraction(1, 1 << 30)
        assert found == nearest(wanted, result) or (
            middle and abs(found - scaled) <= Fraction(1, 2) + Fraction(1, 1 << 30)
        )


@pytest.mark.parametrize(
    ("function", "exact"),
    [
        ("sigmoid", lambda x: 1 / (1 + math.exp(-x))),
        ("tanh", math.tanh),
        ("silu", lambda x: x / (1 + math.exp(-x))),
        ("gelu", lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2),
        ("gelu_tanh", lambda x: x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))) / 2),
    ],
)
def test_a_table_of_another_function_is_within_half_a_unit(function: str, exact: Callable[[float], float]) -> None:
    table = activation_table(ActivationStage(values=1, function=function, argument=0.0), 12, 12)
    for integer in every_integer()[::7]:
        assert abs(int(table[integer % (1 << 16)]) - 4096 * exact(integer / 4096)) <= 0.5 + 1e-6


def test_an_activation_looks_its_results_up_and_counts_what_is_lost() -> None:
    stage = ActivationStage(values=4, function="leaky_relu", argument=0.25)
    given_values = np.array([[-4, -1, 3, 32767]], np.int16)
    run = run_host(stage, [given_values], [3], 5, activation_table(stage, 3, 5))
    assert run.outputs.tolist() == [[-4, -1, 12, 32767]]
    assert (run.values, run.vanished, run.saturated) == (4, 0, 1)
    run = run_host(stage, [given_values], [3], 1, activation_table(stage, 3, 1))
    assert run.outputs.tolist() == [[0, 0, 1, 8192]]
    assert (run.values, run.vanished, run.saturated) == (4, 2, 0)
