"""The search for an order of the channels, written out in plain Python: the same swaps are accepted."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.permutation import search


def kept(columns: list[list[int]], members: list[int], keep: int, pair: int) -> int:
    """What a group keeps: of every row, the largest of its elements, or of its pairs."""
    total = 0
    for row in range(len(columns[0])):
        units = [
            sum(columns[members[first + extra]][row] for extra in range(pair)) for first in range(0, len(members), pair)
        ]
        total += sum(sorted(units, reverse=True)[: keep // pair])
    return total


def searched(weight: np.ndarray, keep: int, group: int, pair: int, seed: int, proposals: int) -> list[int]:
    """Each swap of two channels is accepted if it loses nothing; after 256 swaps that could change something, also if
    it loses less than a threshold, which falls from 0.3 of their mean change to zero."""
    channels = weight.shape[1]
    sizes = np.abs(weight).T
    columns = np.rint(sizes * (2**20 / sizes.max())).astype(int).tolist()
    columns.append([0] * len(columns[0]))
    places = [*range(channels), *[channels] * (-channels % group)]
    block = group if pair == 1 else pair

    def group_at(place: int) -> list[int]:
        first = place // group * group
        return places[first : first + group]

    changes, tried = 0, 0
    swaps = np.random.default_rng(seed).integers(channels, size=(proposals, 2), dtype=np.int32).tolist()
    for number, (left, right) in enumerate(swaps):
        if left // block == right // block:
            continue
        groups = {left // group, right // group}
        before = sum(kept(columns, group_at(one * group), keep, pair) for one in groups)
        places[left], places[right] = places[right], places[left]
        gain = sum(kept(columns, group_at(one * group), keep, pair) for one in groups) - before
        if tried < 256:
            changes += abs(gain)
            tried += 1
        threshold = 0.3 * changes / tried * (1 - number / proposals)
        if gain < 0 and (tried < 256 or gain <= -threshold):
            places[left], places[right] = places[right], places[left]
    return places[:channels]


@pytest.mark.parametrize(
    ("text", "keep", "group", "pair", "channels"),
    [("2:4", 2, 4, 1, 16), ("2:4", 2, 4, 1, 11), ("1:2", 1, 2, 1, 10), ("4:8 pairs", 4, 8, 2, 24)],
)
@pytest.mark.parametrize("seed", range(5, 17))
def test_the_same_order(text: str, keep: int, group: int, pair: int, channels: int, seed: int) -> None:
    weight = torch.randn(3, channels, generator=torch.Generator().manual_seed(2))
    expected = searched(weight.numpy().astype(np.float64), keep, group, pair, seed, 700)
    assert search(weight, Pattern.parse(text), seed=seed, proposals=700).order.tolist() == expected
    assert expected != list(range(channels))
