"""Normalisation of groups of channels by their own mean and spread: GroupNorm and InstanceNorm."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.token_operations import Scaling
from zeroskip.model.network.token_pieces import normalised, of_sample, shortest


def normalised_groups(
    pieces: Pieces, given: Held, groups: int, eps: float, weight: Tensor | None, bias: Tensor | None
) -> Held:
    """Values (n, channels, ...), of which each of the `groups` of channels is normalised by itself; then each channel
    is multiplied by its weight, and its bias added."""
    _, channels, *size = given.shape
    width = channels // groups * math.prod(size)
    rows = pieces.move(given, lambda value: value.reshape(len(value), groups, width))
    rows = normalised(pieces, rows, (width,), eps, None, None, centred=True)
    found = pieces.move(rows, lambda value: value.reshape(len(value), *given.shape[1:]))
    if weight is None and bias is None:
        return found
    by_channel = (1, channels, *(1 for _ in size))
    constants = (
        torch.full((channels,), default) if one is None else one.detach()
        for one, default in ((weight, 1.0), (bias, 0.0))
    )
    scale, shift = (of_sample(label_of(pieces.node), one.reshape(by_channel), given.shape) for one in constants)
    scale, shift = shortest(scale, shift)
    return pieces.token(Scaling(scale=scale, shift=shift), given.shape, found)
