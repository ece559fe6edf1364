"""k-means in one dimension, for codebooks of 16-bit numbers."""

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.fixed_point import codebook_fraction
from zeroskip.model.eie.shared import CODEBOOK_SIZE

# Entry 0 is zero, the pruned weights.
CENTROIDS = CODEBOOK_SIZE - 1
# Tens of iterations are usual; the limit stops values that rounding moves back and forth between two centroids.
ITERATIONS = 1000


def cluster(
    values: NDArray[np.floating], importance: NDArray[np.float64] | None = None
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """The codebook (float32, 16) of non-zero `values` of any shape, and each value's code from 1 (uint8). Each value
    counts by its `importance`, above zero and of the same shape; all alike where there is none.

    Up to 15 distinct values are the codebook. Otherwise Lloyd's iteration finds it, from centroids
    spread evenly between the least and the greatest value: the initialisation that Deep Compression found
    best (ICLR 2016, section 3.2), as it keeps the rare large weights.

    The array stores a codebook in 16 bits. Where these would make a centroid zero, or two centroids equal, the values
    are clustered as the 16 bits hold them, negative and positive ones apart: every centroid is then another number, and
    none is zero but one, where values are so small that all 16 bits of them are zero.
    """
    distinct, inverse = np.unique(values, return_inverse=True)
    inverse = inverse.ravel()
    counts = np.bincount(inverse, None if importance is None else importance.ravel()).astype(np.float64)
    if len(distinct) <= CENTROIDS:
        centroids, codes = distinct.astype(np.float64), np.arange(len(distinct))
    else:
        exact = distinct.astype(np.float64)
        centroids, codes = _lloyd(exact, counts, CENTROIDS)
        if _wasteful(centroids):
            centroids, codes = _cluster_steps(exact, counts)
    codebook = np.zeros(CODEBOOK_SIZE, np.float32)
    codebook[1 : 1 + len(centroids)] = centroids
    return codebook, (1 + codes[inverse]).astype(np.uint8).reshape(values.shape)


def _wasteful(centroids: NDArray[np.float64]) -> bool:
    """Whether 16 bits make a centroid zero or two centroids equal."""
    steps = np.rint(np.ldexp(centroids, codebook_fraction(centroids)))
    return not steps.all() or len(np.unique(steps)) < len(steps)


def _cluster_steps(
    values: NDArray[np.float64], counts: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """As `_lloyd`, for the values rounded to 16 bits, with no cluster of negative and positive values. Those that round
    to zero are a cluster of their own."""
    fraction = codebook_fraction(values)
    steps = np.rint(np.ldexp(values, fraction))
    held = steps != 0
    distinct, inverse = np.unique(steps[held], return_inverse=True)
    together = np.bincount(inverse, counts[held]).astype(np.float64)
    available = CENTROIDS if held.all() else CENTROIDS - 1
    if len(distinct) <= available:
        centroids, codes = distinct, np.arange(len(distinct))
    else:
        centroids, codes = _lloyd(distinct, together, available, apart=True)
    all_codes = np.full(len(values), len(centroids))
    all_codes[held] = codes[inverse]
    centroids = np.ldexp(centroids, -fraction)
    if not held.all():
        lost = values[~held]
        # Their mean may be zero, which is the value of a pruned weight.
        centroids = np.append(centroids, lost[np.abs(lost).argmax()])
    return centroids, all_codes


def _lloyd(
    values: NDArray[np.float64], counts: NDArray[np.float64], centroids_wanted: int, *, apart: bool = False
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Centroids and each value's centroid, for more rising `values`, which count `counts` times, than centroids. With
    `apart`, no cluster has negative and positive values; none of the values may be zero then."""
    # In one dimension a cluster is a run of the sorted values, and prefix sums give the mean of any run.
    count_before = np.concatenate(([0], np.cumsum(counts)))
    sum_before = np.concatenate(([0.0], np.cumsum(values * counts)))
    centroids = np.linspace(values[0], values[-1], centroids_wanted)
    codes = np.full(len(values), -1)
    for _ in range(ITERATIONS):
        middles = (centroids[1:] + centroids[:-1]) / 2
        if apart and values[0] < 0 < values[-1]:
            middles[np.searchsorted(centroids, 0) - 1] = 0
        edges = np.concatenate(([0], np.searchsorted(values, middles), [len(values)]))
        before, codes = codes, np.repeat(np.arange(centroids_wanted), np.diff(edges))
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
