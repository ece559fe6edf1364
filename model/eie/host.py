"""What the host computes between the stages of an EIE array, on the array's 16-bit fixed-point activations.

An integer with f fraction bits has the value of the integer divided by 2**f. Each value of a network has a number of
fraction bits of its own (EieNetwork.fractions), and where values meet they are aligned, exactly:

    addition        both integers are shifted left to the greater of their fraction bits, f, and added, which loses
                    nothing; the sum is rounded to the fraction bits of the result, g <= f:
                    saturate16(round_half_even((a << (f - fa)) + (b << (f - fb)) / 2**(f - g))), then ReLU if it has one
    product         the product of both integers is exact, with fa + fb fraction bits, and rounded to those of the
                    result, g <= fa + fb: saturate16(round_half_even(a * b / 2**(fa + fb - g)))
    concatenation   each integer is rounded to the fraction bits of the result, g, which are not more than those of any
                    part: saturate16(round_half_even(a / 2**(fa - g)))
    limits          the result has the fraction bits of the value; a limit is saturate16(round_half_even(limit * 2**f))
    activations     a table of all 65,536 integers, which is a part of the compiled network; it was made as
                    saturate16(round_half_even(function(a / 2**fa) * 2**g)), in double precision

    tokens          normalisations, softmaxes, products of matrices, constants and embeddings: see
                    zeroskip.model.eie.host_tokens
    moves, zeros    the integers are taken from other places, or zeros are put between them; they stay as they are

`saturate16` keeps a number within -32,768 and 32,767. Everything else (the patches of convolutions, max pooling, zeros
around images) only moves and compares integers.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.geometry import VALUE_BITS
from zeroskip.model.eie.host_tokens import ONE, run_token_stage
from zeroskip.model.eie.rounding import VALUE_MAX, VALUE_MIN, HostRun, round_half_even
from zeroskip.model.network.activations import activated
from zeroskip.model.network.host_stages import (
    ActivationStage,
    AddStage,
    ClampStage,
    ConcatStage,
    HostStage,
    MoveStage,
    MultiplyStage,
    SpreadStage,
)
from zeroskip.model.network.stages import Stage
from zeroskip.model.network.token_stages import SoftmaxStage, TokenStage

KEEPING = (ClampStage, MoveStage, SpreadStage)
"""Stages whose results have the format of what they read."""

MOST_APART = 40
"""The greatest difference between the fraction bits of values that meet: 64 bits hold their sum then. Also the most
bits that are rounded away from a product."""


def run_host(
    stage: HostStage,
    given: Sequence[NDArray[np.int16]],
    fractions: Sequence[int],
    result: int,
    table: NDArray[np.int16] | None = None,
) -> HostRun:
    """Computes a stage on the values that it reads (each int16, images x values), which have `fractions` fraction bits;
    the result has `result`. An activation needs its `table`."""
    if isinstance(stage, ActivationStage):
        assert table is not None
        places = np.ascontiguousarray(given[0]).view(np.uint16)
        zero, too_large = _lost(stage, fractions[0], result)
        return HostRun(
            outputs=table[places],
            values=given[0].size,
            vanished=int(zero[places].sum()),
            saturated=int(too_large[places].sum()),
        )
    if isinstance(stage, AddStage):
        most = max(fractions)
        one, other = (_left(part, most - fraction) for part, fraction in zip(given, fractions, strict=True))
        exact = one + other
        if stage.relu:
            exact = np.maximum(exact, 0)
        return _rounded([exact], [most - result])
    if isinstance(stage, MultiplyStage):
        one, other = (part.astype(np.int64) for part in given)
        return _rounded([stage.compute(one, other)], [sum(fractions) - result])
    if isinstance(stage, ConcatStage):
        return _rounded([part.astype(np.int64) for part in given], [fraction - result for fraction in fractions])
    if isinstance(stage, MoveStage | SpreadStage):
        return HostRun(outputs=stage.compute(given[0]), values=0, vanished=0, saturated=0)
    if isinstance(stage, TokenStage):
        return run_token_stage(stage, given, fractions, result)
    assert isinstance(stage, ClampStage)
    low, high = (limit_of(limit, result) for limit in (stage.low, stage.high))
    outputs = np.clip(given[0], VALUE_MIN if low is None else low, VALUE_MAX if high is None else high)
    present = int(np.count_nonzero(outputs))
    return HostRun(outputs=outputs.astype(np.int16), values=present, vanished=0, saturated=0)


def most_fraction(stage: Stage, parts: Sequence[int]) -> int | None:
    """The most fraction bits of a sum, a product or a concatenation of values with the fraction bits `parts`, and of a
    softmax; None for other stages."""
    if isinstance(stage, SoftmaxStage):
        return ONE
    for kind, most in ((AddStage, max), (MultiplyStage, sum), (ConcatStage, min)):
        if isinstance(stage, kind):
            return most(parts)
    return None


def activation_table(stage: ActivationStage, fraction: int, result: int) -> NDArray[np.int16]:
    """The results (int16, 65,536; of `result` fraction bits) of all integers of `fraction` fraction bits, by their 16
    bits."""
    return np.clip(np.rint(_exact(stage, fraction, result)), VALUE_MIN, VALUE_MAX).astype(np.int16)


def _exact(stage: ActivationStage, fraction: int, result: int) -> NDArray[np.float64]:
    integers = np.arange(1 << VALUE_BITS, dtype=np.uint16).view(np.int16)
    values = activated(stage.function, stage.argument, np.ldexp(integers.astype(np.float64), -fraction))
    scaled: NDArray[np.float64] = np.ldexp(values, result)
    return scaled


@lru_cache(maxsize=256)
def _lost(stage: ActivationStage, fraction: int, result: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which of all integers give a result that is not zero but rounded to zero, and which one that does not fit."""
    exact = _exact(stage, fraction, result)
    nearest = np.rint(exact)
    return (exact != 0) & (nearest == 0), (nearest > VALUE_MAX) | (nearest < VALUE_MIN)


def limit_of(limit: float | None, fraction: int) -> int | None:
    """A limit of a ClampStage as an integer of `fraction` fraction bits; None where there is none."""
    if limit is None:
        return None
    return int(np.clip(np.rint(np.ldexp(limit, fraction)), VALUE_MIN, VALUE_MAX))


def _left(part: NDArray[np.int16], shift: int) -> NDArray[np.int64]:
    aligned: NDArray[np.int64] = part.astype(np.int64) << shift
    return aligned


def _rounded(parts: Sequence[NDArray[np.int64]], shifts: Sequence[int]) -> HostRun:
    """Parts behind one another, rounded."""
    nearest: NDArray[Any] = np.concatenate(
        [round_half_even(part, shift) for part, shift in zip(parts, shifts, strict=True)], axis=1
    )
    held = np.clip(nearest, VALUE_MIN, VALUE_MAX)
    present = sum(int(np.count_nonzero(part)) for part in parts)
    return HostRun(
        outputs=held.astype(np.int16),
        values=present,
        vanished=present - int(np.count_nonzero(nearest)),
        saturated=int(np.count_nonzero(held != nearest)),
    )
