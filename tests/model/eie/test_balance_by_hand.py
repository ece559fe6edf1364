"""Row assignment against a plain one: the variance by its formula, every swap tried by computing it again."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from zeroskip.model.eie.balance import CHANCE, EACH_COLUMN, WINDOWS, assign_rows


def features(weights: NDArray[np.bool_], frequencies: NDArray[np.float64], depth: int) -> NDArray[np.float64]:
    """Vectors (rows x values) of which the squared length of a PE's sum is its part of the variance.

    A column counts with its chance; a window with its expected entries, and the mean over the ways to cut windows.
    """
    parts = [weights * np.sqrt(CHANCE * frequencies * (1 - frequencies) + CHANCE * EACH_COLUMN * frequencies)]
    before = np.concatenate([[0.0], np.cumsum(frequencies)[:-1]])
    cuts = [(length * depth, shift) for length in WINDOWS for shift in (0.0, 0.5)]
    for length, shift in cuts:
        window = np.floor(before / length + shift)
        sums = [(weights * frequencies)[:, window == one].sum(axis=1) for one in np.unique(window)]
        parts.append(np.stack(sums, axis=1) / np.sqrt(len(cuts)))
    return np.concatenate(parts, axis=1)


def variance(vectors: NDArray[np.float64], owner: NDArray[np.intp], pes: int) -> float:
    return sum(float((vectors[owner == pe].sum(axis=0) ** 2).sum()) for pe in range(pes))


def plain(weights: NDArray[np.bool_], frequencies: NDArray[np.float64], pes: int, depth: int) -> NDArray[np.intp]:
    """For one row after the other, the swap that makes the variance least, until no row is swapped any more."""
    vectors = features(weights, frequencies, depth)
    count = len(weights)
    owner = np.arange(count) % pes
    swapped = True
    while swapped:
        swapped = False
        for row in range(count):
            now = variance(vectors, owner, pes)
            best, least = -1, now - 2e-3 * float((vectors[row] ** 2).sum())
            for other in np.flatnonzero(owner != owner[row]):
                tried = owner.copy()
                tried[[row, other]] = owner[[other, row]]
                if (found := variance(vectors, tried, pes)) < least - 1e-9:
                    best, least = other, found
            if best >= 0:
                owner[[row, best]] = owner[[best, row]]
                swapped = True
    return owner


@pytest.mark.parametrize("pes", [2, 3, 4])
@pytest.mark.parametrize("seed", range(5))
def test_the_swaps_are_those_of_a_plain_search(seed: int, pes: int) -> None:
    rng = np.random.default_rng(seed)
    # Not a multiple of the PEs, which then have different numbers of rows.
    rows, columns = 13 + seed, 90
    weights = rng.random((rows, columns)) < 0.35
    frequencies = rng.integers(4, 61, columns) / 64
    places = assign_rows(weights, frequencies, pes, 2)
    owner = plain(weights, frequencies, pes, 2)
    assert [places[pe::pes].tolist() for pe in range(pes)] == [
        np.flatnonzero(owner == pe).tolist() for pe in range(pes)
    ]
    assert owner.tolist() != (np.arange(rows) % pes).tolist()
