"""Float arithmetic that gives the same bits on every machine.

Additions, multiplications, divisions and square roots of IEEE 754 are rounded in one way, and so is everything that is
made of them in a fixed order. Sums of numpy and BLAS have no fixed order, and the exponential of a mathematics library
differs in its last bit from machine to machine; here both are spelled out.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

_LOG2_E = 1.4426950408889634
# ln 2 in two parts; the upper has few bits, so that its multiples are exact.
_LN2_HIGH, _LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
_TERMS = 14
"""Terms of the exponential series: with |r| <= ln 2 / 2, the rest is below 2**-53."""


def exp(values: NDArray[Any]) -> NDArray[np.float64]:
    """The exponential of `values`, within 2**-51 of it, of itself; 0 below the smallest float64."""
    given = np.clip(np.asarray(values, np.float64), -760.0, 709.0)
    power = np.rint(given * _LOG2_E)
    rest = (given - power * _LN2_HIGH) - power * _LN2_LOW
    series = np.full_like(rest, 1 / math.factorial(_TERMS))
    for term in range(_TERMS - 1, -1, -1):
        series = series * rest + 1 / math.factorial(term)
    found: NDArray[np.float64] = np.ldexp(series, power.astype(np.int32))
    return found


def sigmoid(values: NDArray[Any]) -> NDArray[np.float64]:
    small = exp(-np.abs(np.asarray(values, np.float64)))
    found: NDArray[np.float64] = np.where(np.asarray(values) >= 0, 1.0, small) / (1.0 + small)
    return found


def tanh(values: NDArray[Any]) -> NDArray[np.float64]:
    given = np.asarray(values, np.float64)
    small = exp(-2.0 * np.abs(given))
    # Near zero the difference loses what it was made of; the series does not.
    square = given * given
    near = given * (1 - square * (1 / 3 - square * (2 / 15 - square * (17 / 315))))
    found: NDArray[np.float64] = np.where(
        np.abs(given) < 2.0**-6, near, np.copysign((1.0 - small) / (1.0 + small), given)
    )
    return found


def total(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sums along the last axis (kept, of length 1), one value after another."""
    sums: NDArray[np.float64] = np.cumsum(values, axis=-1)[..., -1:]
    return sums


def product(one: NDArray[Any], other: NDArray[Any]) -> NDArray[np.float64]:
    """Matrix products (..., m, k) by (..., k, n) in float64, one product added after another."""
    left, right = one.astype(np.float64), other.astype(np.float64)
    sums = np.zeros((*left.shape[:-1], right.shape[-1]))
    for place in range(left.shape[-1]):
        sums += left[..., :, place, None] * right[..., None, place, :]
    return sums
