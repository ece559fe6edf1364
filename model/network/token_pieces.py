"""The operations of tokens as pieces, and the constants in them."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.token_operations import MatrixProduct, Normalization, Softmaxing
from zeroskip.model.network.trace import SIZES, by_sample


def matrix_product(pieces: Pieces, one: Held, other: Held, scale: float = 1.0) -> Held:
    """(n, ..., rows, depth) by (n, ..., depth, columns)."""
    batch = torch.broadcast_shapes(one.shape[:-2], other.shape[:-2])

    def whole(part: Held) -> Held:
        shape = (*batch, *part.shape[-2:])
        return part if part.shape == shape else pieces.move(part, lambda value: value.expand(shape))

    held = [whole(part) for part in (one, other)]
    rows, depth = one.shape[-2:]
    columns = other.shape[-1]
    product = MatrixProduct(batch=math.prod(batch) // SIZES[1], rows=rows, depth=depth, columns=columns, scale=scale)
    return pieces.token(product, (*batch, rows, columns), *held)


def softmaxed(pieces: Pieces, scores: Held, allowed: Tensor | None) -> Held:
    """The softmax over the last dimension of `scores`, where `allowed` (n, ..., like them) is not zero."""
    width, mask = scores.shape[-1], None
    if allowed is not None:
        rows = of_sample(label_of(pieces.node), allowed, scores.shape).reshape(-1, width)
        if not rows.any(axis=1).all():
            raise ValueError(
                f"{label_of(pieces.node)} has a mask that leaves a row without any value; leave one at least"
            )
        mask = shortest_rows(rows).astype(np.uint8)
    return pieces.token(Softmaxing(width=width, mask=mask), scores.shape, scores)


def normalised(
    pieces: Pieces,
    given: Held,
    shape: tuple[int, ...],
    eps: float,
    weight: Tensor | None,
    bias: Tensor | None,
    *,
    centred: bool,
) -> Held:
    width = math.prod(shape)
    constants = [
        np.full(width, default, np.float32) if one is None else one.detach().float().reshape(-1).numpy()
        for one, default in ((weight, 1), (bias, 0))
    ]
    operation = Normalization(eps=float(eps), centred=centred, weight=constants[0], bias=constants[1])
    return pieces.token(operation, given.shape, given)


def broadcast(label: str, value: Tensor, shape: tuple[int, ...]) -> Tensor:
    try:
        return value.expand(shape)
    except RuntimeError as error:
        raise ValueError(f"{label} joins a constant of shape {tuple(value.shape)} with values of {shape}") from error


def of_sample(label: str, value: Tensor, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """A constant in the `shape` of values (samples, ...), as those of one sample (float32, flat)."""
    rows = by_sample(broadcast(label, value, shape))
    if not bool((rows == rows[:1]).all()):
        raise ValueError(f"{label} has a constant that differs from sample to sample; supported: the same for each")
    found: NDArray[np.float32] = rows[0].detach().float().numpy().copy()
    if not np.isfinite(found).all():
        raise ValueError(f"{label} has a constant that is not finite (NaN or infinity)")
    return found


def shortest(scale: NDArray[np.float32], shift: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The shortest constants of which these are repetitions."""
    both = shortest_rows(np.stack((scale, shift), axis=1))
    return np.ascontiguousarray(both[:, 0]), np.ascontiguousarray(both[:, 1])


def shortest_rows(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """The fewest rows of which these are repetitions."""
    count = len(rows)
    for period in range(1, count):
        if count % period == 0 and np.array_equal(rows[period:], rows[:-period]):
            return rows[:period]
    return rows
