"""Padding as an operation of its own: values beside others, dimension by dimension."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.token_operations import Constant

MODES = ("constant", "reflect", "replicate", "circular")


def padded(pieces: Pieces, given: Held, sizes: tuple[int, ...], mode: str, value: float) -> Held:
    """What torch.nn.functional.pad gives: `sizes` are those before and behind the last dimension, then those of the one
    before it, and so on. Raises ValueError for sizes below zero."""
    label = label_of(pieces.node)
    if mode not in MODES or len(sizes) % 2 or min(sizes) < 0:
        raise ValueError(
            f"{label} pads by {mode!r} and {sizes}; supported: {', '.join(MODES)}, with two sizes of at least "
            "0 for each dimension"
        )
    for place in range(len(sizes) // 2):
        before, behind = sizes[2 * place : 2 * place + 2]
        if before or behind:
            given = _beside(pieces, given, len(given.shape) - 1 - place, before, behind, mode, value)
    return given


def _beside(pieces: Pieces, given: Held, along: int, before: int, behind: int, mode: str, value: float) -> Held:
    """Values before and behind those of one dimension, which stands in place 1 meanwhile."""
    moved = pieces.move(given, lambda values: values.movedim(along, 1))
    size = moved.shape[1]

    def constant(count: int) -> Held:
        shape = (moved.shape[0], count, *moved.shape[2:])
        filled = np.full(int(np.prod(shape[1:])), value, np.float32)
        return pieces.token(Constant(constant=filled), shape, moved)

    def part(count: int, *, first: bool) -> Held:
        def take(values: Tensor) -> Tensor:
            if mode == "reflect":
                return values.narrow(1, 1 if first else size - 1 - count, count).flip(1)
            if mode == "circular":
                return values.narrow(1, size - count if first else 0, count)
            return values.narrow(1, 0 if first else size - 1, 1).expand(-1, count, *torch.Size(values.shape[2:]))

        return constant(count) if mode == "constant" else pieces.move(moved, take)

    parts = [moved]
    if before:
        parts.insert(0, part(before, first=True))
    if behind:
        parts.append(part(behind, first=False))
    return pieces.move(pieces.concat(parts), lambda values: values.movedim(1, along))
