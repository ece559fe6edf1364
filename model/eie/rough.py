"""Warns where one codebook does not hold a layer's weights."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.magnitudes import LOST_SHARE
from zeroskip.model.warned import warn

_ROUGH = 0.5
"""Error of an output's shared weights, relative to its weights (both as root of the sum of squares), from which on it
is told; or that of the output itself, where the inputs are known."""


def warn_of_rough_outputs(layer: int, errors: NDArray[Any], sizes: NDArray[Any]) -> None:
    """Warns if sharing changes many outputs of a layer by more than half of their size. `errors` and `sizes` (outputs,)
    are squares, of the weights or of the outputs."""
    changed = errors > _ROUGH**2 * sizes
    if changed.sum() > LOST_SHARE * np.count_nonzero(sizes):
        warn(
            f"layer {layer}, weights: the shared values of {changed.sum():,} of {len(sizes):,} outputs differ "
            "from their weights by more than half of their size, as one codebook of 15 values holds weights of "
            "very different sizes; scale the layer's outputs alike, for example by training further",
            stacklevel=3,
        )
