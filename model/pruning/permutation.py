"""Channel permutation: orders of the input channels in which N:M pruning keeps a larger magnitude (Pool & Yu, "Channel
Permutations for N:M Sparsity", NeurIPS 2021).

Pool & Yu optimise pairs of stripes (groups of columns), one pair after the other. The search here swaps two columns at
a time by threshold accepting (Dueck & Scheuer, J. Comput. Phys. 90, 1990): it accepts a swap that loses less than a
threshold, which falls to zero. So it can leave the poor local optima in which a greedy search ends.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.criteria import magnitude
from zeroskip.model.pruning.nm import nm_mask, padding

PROPOSALS = 1_000_000
"""The number of swaps that are tried. The time of a swap is proportional to the number of rows."""

SCALE = 1 << 20
"""The integer that stands for the largest magnitude. Sums of integers do not depend on their order, so a search gives
the same result on every machine."""

FIRST_THRESHOLD = 0.3
"""The threshold at the start, as a multiple of the mean change by the first WARM_UP swaps."""

WARM_UP = 256
"""The number of swaps that this mean is taken of. Those that lose magnitude are not accepted."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Permutation:
    """Channel `j` of the new order is channel `order[j]` (int64) of the old one.

    `before` and `after` are the sums of the magnitudes that N:M pruning keeps in the old and in the new order. `total`
    is the sum of all magnitudes. `bound` is an upper bound for all orders: every row keeps its largest magnitudes.
    """

    order: NDArray[np.int64]
    before: float
    after: float
    total: float
    bound: float

    @property
    def efficacy(self) -> float:
        """The fraction of the magnitude lost by grouping that the order regains (Pool & Yu); 1 if none was lost."""
        return (self.after - self.before) / (self.bound - self.before) if self.bound > self.before else 1.0


def search(weight: Tensor, pattern: Pattern, *, seed: int, proposals: int = PROPOSALS) -> Permutation:
    """Searches for a good order of the input channels of a Linear or Conv2d weight. It depends on `seed` alone.

    `weight` is as `nm_mask` takes it; a convolution has a row for each output at each place of the kernel. If no better
    order is found, the given one is returned. Raises ValueError for weights that are not finite.
    """
    if proposals < 0:
        raise ValueError(f"proposals must be at least 0, not {proposals}")
    if not torch.isfinite(weight).all():
        raise ValueError("weight must be finite, but some are NaN or infinite")
    channels = weight.shape[1]
    before = _kept(weight, pattern)
    order = np.arange(channels)
    found = order.copy()
    sizes = magnitude(weight).double().movedim(1, 0).flatten(1).numpy()
    if not pattern.dense and channels > 1 and sizes.any():
        columns = np.zeros((channels + 1, sizes.shape[1]), np.int32)
        columns[:channels] = np.rint(sizes * (SCALE / sizes.max()))
        # The padding after the channels stays where it is: its places hold a column of zeros.
        places = np.full(channels + padding(weight.shape, pattern), channels)
        places[:channels] = order
        swaps = np.random.default_rng(seed).integers(channels, size=(proposals, 2), dtype=np.int32)
        _swap(columns, places, swaps, pattern.group, pattern.lanes, pattern.pair, FIRST_THRESHOLD)
        found = places[:channels]
    after = _kept(weight[:, torch.from_numpy(found)], pattern)
    if after <= before:
        found, after = order, before
    return Permutation(
        order=found, before=before, after=after, total=float(sizes.sum()), bound=_bound(sizes, weight, pattern)
    )


def _kept(weight: Tensor, pattern: Pattern) -> float:
    return float(magnitude(weight).double()[nm_mask(weight, pattern)].sum())


def _bound(sizes: NDArray[np.float64], weight: Tensor, pattern: Pattern) -> float:
    groups = (len(sizes) + padding(weight.shape, pattern)) // pattern.group
    return float(np.sort(sizes, axis=0)[::-1][: groups * pattern.keep].sum())


@numba.njit(cache=True)
def _swap(columns, places, swaps, group, lanes, pair, first_threshold):
    """Swaps entries of `places`, in place, to increase the kept magnitude. The entries are indices into `columns`
    (int32, channels + 1 x rows). `swaps` (proposals x 2) are tried in order."""
    work = np.empty((group // pair, columns.shape[1]), np.int32)
    kept = np.empty(len(places) // group, np.int64)
    for number in range(len(kept)):
        kept[number] = _kept_of_group(columns, places[number * group :], lanes, pair, work)
    # Swaps within a pair, or within a group without pairs, change nothing.
    block = group if pair == 1 else pair
    changes, tried = np.int64(0), 0
    for proposal in range(len(swaps)):
        left, right = swaps[proposal]
        if left // block == right // block:
            continue
        one, other = left // group, right // group
        places[left], places[right] = places[right], places[left]
        new_one = _kept_of_group(columns, places[one * group :], lanes, pair, work)
        gain = new_one - kept[one]
        new_other = new_one
        if other != one:
            new_other = _kept_of_group(columns, places[other * group :], lanes, pair, work)
            gain += new_other - kept[other]
        if tried < WARM_UP:
            # The mean change by a swap, which scales the threshold.
            changes += abs(gain)
            tried += 1
        threshold = first_threshold * changes / tried * (1 - proposal / len(swaps))
        if gain >= 0 or (tried == WARM_UP and gain > -threshold):
            kept[one], kept[other] = new_one, new_other
        else:
            places[left], places[right] = places[right], places[left]


@numba.njit(cache=True)
def _kept_of_group(columns, members, lanes, pair, work):
    """The sum, over all rows, of the `lanes` largest positions of the group that stands first in `members`."""
    positions, rows = work.shape
    for position in range(positions):
        for row in range(rows):
            work[position, row] = columns[members[position * pair], row]
        for extra in range(1, pair):
            for row in range(rows):
                work[position, row] += columns[members[position * pair + extra], row]
    total = np.int64(0)
    for lane in range(lanes):
        # One pass of bubble sort moves the largest to the end. The inner loop is over rows, so that it is vectorised.
        for position in range(positions - 1 - lane):
            for row in range(rows):
                low, high = work[position, row], work[position + 1, row]
                work[position, row], work[position + 1, row] = min(low, high), max(low, high)
        for row in range(rows):
            total += work[positions - 1 - lane, row]
    return total
