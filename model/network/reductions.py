"""Sums and greatest values over some dimensions of each sample: poolings of images of height 1."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np
from torch import Tensor

from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.token_operations import Scaling

Reduction = Literal["sum", "max"]


def reduced(pieces: Pieces, given: Held, over: list[int], kind: Reduction, shape: tuple[int, ...]) -> Held:
    """The sums, or the greatest, of values over the dimensions `over`, which are from 1 on, in the `shape` (n, ...)
    that torch gives. A sum is the mean times the number of values."""
    kept = [dimension for dimension in range(1, len(given.shape)) if dimension not in over]
    channels, width = (math.prod(given.shape[dimension] for dimension in part) for part in (kept, over))

    def as_images(value: Tensor) -> Tensor:
        return value.permute(0, *kept, *over).reshape(len(value), channels, 1, width)

    images = pieces.move(given, as_images)
    if kind == "max":
        found = pieces.largest(images)
    else:
        found = pieces.average(images)
        count = Scaling(scale=np.full(1, width, np.float32), shift=np.zeros(1, np.float32))
        found = pieces.token(count, found.shape, found)
    return pieces.move(found, lambda value: value.reshape(len(value), *shape[1:]))
