"""How far what the host computes can be from the real numbers, by how far what it reads is.

Every bound holds where nothing saturates. Softmax: where its arguments are off by d at most, a share p is between
p / (p + (1 - p) * exp(2 * d)) and p / (p + (1 - p) * exp(-2 * d)). Normalisation: with c the values less their mean, r
the root of their mean square and eps, and n = c / r; where c is off by d and the root mean square of d is D, r is off
by at most D, and n by (d + |n| * D) / (r - D).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.host import limit_of
from zeroskip.model.eie.host_tokens import ONE
from zeroskip.model.network.activations import slope
from zeroskip.model.network.host_stages import (
    ActivationStage,
    ClampStage,
    ConcatStage,
    MoveStage,
    MultiplyStage,
    SpreadStage,
)
from zeroskip.model.network.stages import sources
from zeroskip.model.network.token_stages import (
    ConstantStage,
    EmbeddingStage,
    NormStage,
    ProductStage,
    ScaleStage,
    SoftmaxStage,
)


def host_error(
    network: EieNetwork, index: int, activations: Sequence[NDArray[np.float64]], errors: Sequence[NDArray[np.float64]]
) -> NDArray[np.float64]:
    """The error of what stage `index` of the host gives, from what it reads and the errors of that."""
    stage, result = network.stages[index], network.value_fractions[index + 1]
    if isinstance(stage, ActivationStage):
        return errors[0] * slope(stage.function, stage.argument) + 0.5 * 2.0**-result
    if isinstance(stage, ClampStage):
        off = [
            abs(limit - limit_of(limit, result) * 2.0**-result)  # type: ignore[operator]
            for limit in (stage.low, stage.high)
            if limit is not None
        ]
        return errors[0] + max(off, default=0.0)
    if isinstance(stage, MoveStage | SpreadStage):
        return stage.compute(errors[0])
    half = 0.5 * 2.0**-result
    if isinstance(stage, NormStage):
        return _norm_error(stage, activations[0], errors[0]) + half
    if isinstance(stage, SoftmaxStage):
        return _softmax_error(stage, activations[0], errors[0]) + half
    if isinstance(stage, ScaleStage):
        scale = np.tile(np.abs(stage.scale.astype(np.float64)), stage.values // len(stage.scale))
        return errors[0] * scale + half
    if isinstance(stage, EmbeddingStage | ConstantStage):
        return np.full((len(errors[0]), stage.gives), half)
    rounded = [network.value_fractions[source] > result for source in sources(index, stage)]
    if isinstance(stage, MultiplyStage | ProductStage):
        one, other = (np.abs(part) for part in activations)
        most: NDArray[np.float64] = stage.compute(one + errors[0], other + errors[1])
        return np.abs(most - stage.compute(one, other)) + half
    if isinstance(stage, ConcatStage):
        return np.concatenate([error + half * cut for error, cut in zip(errors, rounded, strict=True)], axis=1)
    return errors[0] + errors[1] + half * any(rounded)


def _norm_error(stage: NormStage, activations: NDArray[np.float64], errors: NDArray[np.float64]) -> NDArray[np.float64]:
    rows, off = (part.reshape(-1, stage.width) for part in (activations, errors))
    spread = np.sqrt((off * off).mean(axis=1, keepdims=True))
    if stage.centred:
        rows, off = rows - rows.mean(axis=1, keepdims=True), off + off.mean(axis=1, keepdims=True)
        spread = np.sqrt((off * off).mean(axis=1, keepdims=True))
    root = np.sqrt((rows * rows).mean(axis=1, keepdims=True) + stage.eps)
    least = np.maximum(root - spread, np.sqrt(stage.eps))
    found = (off + np.abs(rows) / root * spread) / least * np.abs(stage.weight.astype(np.float64))
    return found.reshape(errors.shape)


def _softmax_error(
    stage: SoftmaxStage, activations: NDArray[np.float64], errors: NDArray[np.float64]
) -> NDArray[np.float64]:
    share = stage.rows(stage.compute(activations))
    off = stage.rows(errors)
    kept = np.ones((1, stage.width), bool) if stage.mask is None else stage.mask.astype(bool)
    # exp() of so much makes every share 0 or 1.
    most = np.minimum(np.where(kept, off, 0).max(axis=-1, keepdims=True) * stage.scale * 2, 700)
    above = share / (share + (1 - share) * np.exp(-most))
    below = share / (share + (1 - share) * np.exp(most))
    # The tables and their product are off by less than two units of the powers.
    tables = 2 * (stage.width + 1) * 2.0**-ONE
    found = np.where(kept, np.maximum(above - share, share - below) + tables, 0)
    return found.reshape(errors.shape)
