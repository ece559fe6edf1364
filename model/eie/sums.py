"""Saturating sums of products, as the array's accumulators form them, for many starts at once.

A sum cannot saturate where those of its products' absolute values fit. Then the order of the additions does not matter,
and it is computed for TOGETHER starts at once, exactly. The others are added one by one.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.sparse_rows import SparseRows
from zeroskip.model.parallel import parallel

TOGETHER = 64
"""Starts that are computed at once: the activations of as many stay in a processor's cache."""

_EXACT = 1 << 53
"""Integers below it are exact in float64."""


def saturating_sums(
    matrix: SparseRows, activations: NDArray[np.int16], product_shift: int, highest: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The sums of each row of a matrix (rows x columns) for each start (int16, starts x columns), at most `highest`,
    and how many of a start saturated (starts). A sum counts once, however many of its additions saturate."""
    starts, columns, weights = matrix.starts, matrix.columns, matrix.weights
    sums = np.zeros((len(activations), matrix.rows), np.int64)
    if product_shift or highest >= _EXACT:
        images, of_rows = (places.ravel() for places in np.indices(sums.shape))
    else:
        # Sums that fit 32 bits are exact in them, whatever is on the way, and there they are faster.
        exact = weights.astype(np.int32 if highest < 1 << 31 else np.float64)
        risky = np.zeros(sums.shape, np.bool_)
        _sum_at_once(starts, columns, exact, activations, float(highest), sums, risky)
        images, of_rows = np.nonzero(risky)
    saturated = np.zeros(len(activations), np.int64)
    if len(images):
        clipped = np.zeros(len(images), np.bool_)
        limits = np.int64(highest), np.int64(-highest - 1)
        _accumulate(starts, columns, weights, activations, images, of_rows, product_shift, *limits, sums, clipped)
        np.add.at(saturated, images[clipped], 1)
    return sums, saturated


@parallel
def _sum_at_once(starts, columns, weights, activations, highest, sums, risky):
    """The sums of a sparse matrix (CSR) for all starts, without saturation; those whose products' absolute values add
    up to more than `highest` are `risky`."""
    for block in numba.prange((activations.shape[0] + TOGETHER - 1) // TOGETHER):
        first = block * TOGETHER
        count = min(TOGETHER, activations.shape[0] - first)
        values = np.zeros((activations.shape[1], TOGETHER), weights.dtype)
        largest = np.zeros(activations.shape[1])
        for start in range(count):
            for column in range(activations.shape[1]):
                value = activations[first + start, column]
                values[column, start] = value
                largest[column] = max(largest[column], abs(np.float64(value)))
        total = np.empty(TOGETHER, weights.dtype)
        product = np.empty(TOGETHER)
        size = np.empty(TOGETHER)
        for row in range(len(starts) - 1):
            bound = 0.0
            for entry in range(starts[row], starts[row + 1]):
                bound += abs(np.float64(weights[entry])) * largest[columns[entry]]
            if bound <= highest:
                total[:] = 0
                for entry in range(starts[row], starts[row + 1]):
                    weight, column = weights[entry], columns[entry]
                    for start in range(TOGETHER):
                        total[start] += weight * values[column, start]
                for start in range(count):
                    sums[first + start, row] = np.int64(total[start])
            else:
                product[:] = 0
                size[:] = 0
                for entry in range(starts[row], starts[row + 1]):
                    real, column = np.float64(weights[entry]), columns[entry]
                    for start in range(TOGETHER):
                        part = real * np.float64(values[column, start])
                        product[start] += part
                        size[start] += abs(part)
                for start in range(count):
                    sums[first + start, row] = np.int64(product[start])
                    risky[first + start, row] = size[start] > highest


@parallel
def _accumulate(starts, columns, weights, activations, images, rows, product_shift, highest, lowest, sums, saturated):
    """The sums of the pairs of `images` and `rows` of a sparse matrix (CSR), in `sums`, added one by one; whether each
    saturated goes into `saturated`."""
    for pair in numba.prange(len(images)):
        image, row = images[pair], rows[pair]
        total = np.int64(0)
        clipped = False
        for entry in range(starts[row], starts[row + 1]):
            total += (weights[entry] * activations[image, columns[entry]]) >> product_shift
            if total > highest:
                total = highest
                clipped = True
            elif total < lowest:
                total = lowest
                clipped = True
        sums[image, row] = total
        saturated[pair] = clipped
