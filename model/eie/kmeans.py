"""k-means in one dimension, for codebooks."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.shared import CODEBOOK_SIZE

# Entry 0 is zero, the pruned weights.
CENTROIDS = CODEBOOK_SIZE - 1
# Tens of iterations are usual; the limit stops values that rounding moves back and forth between two centroids.
ITERATIONS = 1000


def cluster(values: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The codebook (float32, 16) of non-zero `values` of any shape, and each value's code from 1 (uint8).

    Up to 15 distinct values are the codebook. Otherwise Lloyd's iteration finds it, from centroids
    spread evenly between the least and the greatest value: the initialisation that Deep Compression found
    best (ICLR 2016, section 3.2), as it keeps the rare large weights.
    """
    distinct, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    codebook = np.zeros(CODEBOOK_SIZE, np.float32)
    if len(distinct) <= CENTROIDS:
        codebook[1 : 1 + len(distinct)] = distinct
        codes = np.arange(len(distinct))
    else:
        centroids, codes = _lloyd(distinct.astype(np.float64), counts)
        codebook[1:] = centroids
    return codebook, (1 + codes[inverse]).astype(np.uint8).reshape(values.shape)


def _lloyd(values: NDArray[np.float64], counts: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Centroids and each value's centroid, for more than 15 rising `values` that occur `counts` times."""
    # In one dimension a cluster is a run of the sorted values, and prefix sums give the mean of any run.
    count_before = np.concatenate(([0], np.cumsum(counts)))
    sum_before = np.concatenate(([0.0], np.cumsum(values * counts)))
    centroids = np.linspace(values[0], values[-1], CENTROIDS)
    codes = np.full(len(values), -1)
    for _ in range(ITERATIONS):
        middles = (centroids[1:] + centroids[:-1]) / 2
        edges = np.concatenate(([0], np.searchsorted(values, middles), [len(values)]))
        before, codes = codes, np.repeat(np.arange(CENTROIDS), np.diff(edges))
        if np.array_equal(before, codes):
            break
        sizes = np.diff(count_before[edges])
        used = sizes > 0
        centroids[used] = np.diff(sum_before[edges])[used] / sizes[used]
        if not used.all():
            # Pruning leaves a gap around zero, so some centroids have no values. They move to where the error is
            # greatest; the total error still falls with every iteration.
            errors = counts * (values - centroids[codes]) ** 2
            centroids[~used] = values[np.argsort(-errors, kind="stable")[: np.count_nonzero(~used)]]
            centroids.sort()
    return centroids, codes
