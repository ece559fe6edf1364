"""A part of a data set that is taken by chance, the same each time."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SEED = 0


def chosen(total: int, count: int | None) -> NDArray[np.intp]:
    """The numbers of `count` of `total` samples, in order; all of them where `count` is None or not less."""
    if count is None or count >= total:
        return np.arange(total)
    return np.sort(np.random.default_rng(SEED).choice(total, count, replace=False))
