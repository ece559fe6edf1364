"""Linear and bilinear resizing of sequences and images: products with constant matrices, one for each dimension."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.token_operations import Constant
from zeroskip.model.network.token_pieces import matrix_product

DIMENSIONS = {"linear": 1, "bilinear": 2}
"""How many dimensions a mode resizes."""


def resized(pieces: Pieces, given: Held, mode: str, size: Any, factor: Any, align_corners: bool | None) -> Held:
    """What torch.nn.functional.interpolate gives for values (n, channels, ...) of as many dimensions as the mode
    has."""
    count = DIMENSIONS[mode]
    sizes, factors = (one if isinstance(one, tuple | list) else (one,) * count for one in (size, factor))
    for place in range(count):
        along = 2 + place
        matrix = _matrix(given.shape[along], sizes[place], factors[place], align_corners).to(given.value.dtype)
        constant = pieces.token(
            Constant(constant=matrix.float().reshape(-1).numpy()), (given.shape[0], 1, *matrix.shape), given
        )

        def last(values: Tensor, along: int = along) -> Tensor:
            # (n, all others, resized)
            moved = values.movedim(along, -1)
            return moved.reshape(len(values), 1, -1, moved.shape[-1])

        rest = [one for number, one in enumerate(given.shape) if number not in (0, along)]
        product = matrix_product(pieces, pieces.move(given, last), constant)

        def back(values: Tensor, along: int = along, rest: tuple[int, ...] = tuple(rest)) -> Tensor:
            return values.reshape(len(values), *rest, values.shape[-1]).movedim(-1, along)

        given = pieces.move(product, back)
    return given


def _matrix(length: int, size: int | None, factor: float | None, align_corners: bool | None) -> Tensor:
    """By which rows of values are multiplied: (length, resized length)."""
    one = torch.eye(length)[:, None]
    return F.interpolate(one, size=size, scale_factor=factor, mode="linear", align_corners=align_corners)[:, 0]
