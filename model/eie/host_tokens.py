"""The stages for tokens (zeroskip.model.network.token_stages) on the array's 16-bit fixed-point activations.

a are the integers that are read, with f fraction bits; the result has g. Sums of integers are exact. Operations of
float64 are those of IEEE 754, each rounded by itself, so that every machine gives the same bits:

    normalisation   of a row of n values, with its sum s and the sum q of its squares:
                    y = (n * a - s) / sqrt(n * q - s**2 + e), e = n * n * eps * 2**(2 * f), where it is centred, and
                    y = n * a / sqrt(n * q + e) where it is not; the result is y * weight + bias
    softmax         p = powers[top - a] / the sum of these, in integers: with d = top - a, powers[d] is
                    (coarse[d >> 8] * fine[d & 255] + 2**29) >> 30, and the result floor(p * 2**g + 1 / 2), at most
                    32,767; coarse[i] = round(2**30 * exp(-256 * i * scale / 2**f)), fine[i] = round(2**30 *
                    exp(-i * scale / 2**f)), by zeroskip.model.network.portable
    matrix product  the sum of products * (scale * 2**-(fa + fb))
    constants       (a / 2**f) * scale + shift
    embedding       the row of the table that the integer a names; f is 0
    constant        itself

All but softmax end in saturate16(round_half_even(value * 2**g)).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.rounding import VALUE_MAX, HostRun, rounded_float
from zeroskip.model.network import portable
from zeroskip.model.network.token_stages import (
    ConstantStage,
    EmbeddingStage,
    NormStage,
    ProductStage,
    ScaleStage,
    SoftmaxStage,
    TokenStage,
)

ONE = 30
"""Fraction bits of the powers of a softmax; its results have at most so many."""


def run_token_stage(
    stage: TokenStage, given: Sequence[NDArray[np.int16]], fractions: Sequence[int], result: int
) -> HostRun:
    """Computes a stage on the values that it reads (each int16, images x values), which have `fractions` fraction bits;
    the result has `result`."""
    match stage:
        case NormStage():
            return _normalised(stage, given[0], fractions[0], result)
        case SoftmaxStage():
            return _softmax(stage, given[0], fractions[0], result)
        case ProductStage():
            one, other = (part.astype(np.float64) for part in stage.matrices(*given))
            # Integers below 2**53: exact, in whatever order they are added.
            sums = np.matmul(one, other).reshape(len(given[0]), -1)
            return rounded_float(sums * np.ldexp(stage.scale, -sum(fractions)), result)
        case ScaleStage() | EmbeddingStage() | ConstantStage():
            return rounded_float(stage.compute(_values(given[0], fractions[0])), result)


def _values(integers: NDArray[Any], fraction: int) -> NDArray[np.float64]:
    values: NDArray[np.float64] = np.ldexp(integers.astype(np.float64), -fraction)
    return values


def _normalised(stage: NormStage, given: NDArray[np.int16], fraction: int, result: int) -> HostRun:
    rows = given.reshape(-1, stage.width).astype(np.int64)
    squares = stage.width * (rows * rows).sum(axis=1, keepdims=True)
    scaled = stage.width * rows
    if stage.centred:
        sums = rows.sum(axis=1, keepdims=True)
        squares, scaled = squares - sums * sums, scaled - sums
    least = np.ldexp(float(stage.width * stage.width) * stage.eps, 2 * fraction)
    found = scaled.astype(np.float64) / np.sqrt(squares.astype(np.float64) + least)
    found = found * stage.weight.astype(np.float64) + stage.bias.astype(np.float64)
    return rounded_float(found.reshape(given.shape), result)


@lru_cache(maxsize=256)
def _powers(scale: float, fraction: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The coarse and the fine table."""
    steps = np.arange(256) * np.ldexp(scale, -fraction)
    coarse, fine = (np.rint(np.ldexp(portable.exp(-part), ONE)).astype(np.int64) for part in (256 * steps, steps))
    return coarse, fine


def _softmax(stage: SoftmaxStage, given: NDArray[np.int16], fraction: int, result: int) -> HostRun:
    rows = stage.rows(given).astype(np.int64)
    kept = np.ones((1, stage.width), bool) if stage.mask is None else stage.mask.astype(bool)
    top = np.where(kept, rows, np.iinfo(np.int64).min).max(axis=-1, keepdims=True)
    below = np.where(kept, top - rows, 0)
    coarse, fine = _powers(stage.scale, fraction)
    powers = np.where(kept, (coarse[below >> 8] * fine[below & 255] + (1 << (ONE - 1))) >> ONE, 0)
    sums = powers.sum(axis=-1, keepdims=True)
    nearest = ((powers << (result + 1)) + sums) // (2 * sums)
    held = np.minimum(nearest, VALUE_MAX)
    present = int(np.count_nonzero(powers))
    return HostRun(
        outputs=held.reshape(given.shape).astype(np.int16),
        values=present,
        vanished=present - int(np.count_nonzero(nearest)),
        saturated=int(np.count_nonzero(held != nearest)),
    )
