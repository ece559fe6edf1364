"""Which features depend on which channels: all pairs of small networks, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.search.spaces import channel_probing
from zeroskip.model.search.spaces.channel_probing import INPUTS, OUTPUTS, read_dependences

WIDE = 70
"""More channels than are tested one by one."""


class Net(nn.Module):
    """Reads a softmax over the channels of `a`, those of `b`, and constants."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.a, self.b, self.out = nn.Linear(4, width), nn.Linear(4, 9), nn.Linear(width + 12, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(torch.cat([self.a(x).softmax(1), torch.relu(self.b(x)), torch.ones(len(x), 3)], 1))


def pairs(edges: NDArray[np.int64]) -> set[tuple[int, int]]:
    return {(channel, feature) for channel, feature in edges.tolist()}


def read(width: int) -> dict[tuple[str, str], set[tuple[int, int]]]:
    found = read_dependences(Net(width).eval(), torch.ones(1, 4))
    assert found.channels == {INPUTS: 1, "a": width, "b": 9, "out": 2}
    assert found.features == {OUTPUTS: 1, "a": 4, "b": 4, "out": width + 12}
    assert not found.unread
    return {names: pairs(edges) for names, edges in found.edges.items() if len(edges)}


def by_hand(width: int) -> dict[tuple[str, str], set[tuple[int, int]]]:
    return {
        (INPUTS, "a"): {(0, feature) for feature in range(4)},
        (INPUTS, "b"): {(0, feature) for feature in range(4)},
        ("a", "out"): {(channel, feature) for channel in range(width) for feature in range(width)},
        ("b", "out"): {(channel, width + channel) for channel in range(9)},
        ("out", OUTPUTS): {(0, 0), (1, 0)},
    }


def test_all_pairs() -> None:
    assert read(6) == by_hand(6)


@pytest.mark.parametrize("tests_in_a_run", [1, 2, 3, 5])
def test_all_pairs_in_several_runs(monkeypatch: pytest.MonkeyPatch, tests_in_a_run: int) -> None:
    """The outputs of `b`, 9 values, are the largest."""
    monkeypatch.setattr(channel_probing, "LARGEST_RUN", 9 * (tests_in_a_run + 1))
    assert read(6) == by_hand(6)


def test_wide_layers_that_are_mixed_are_tied_to_their_features_alone() -> None:
    """Not every pair is told, but one part holds all channels and features of `a`, and nothing else."""
    found = read(WIDE)
    tied = found.pop(("a", "out"))
    expected = by_hand(WIDE)
    expected.pop(("a", "out"))
    assert found == expected
    assert {channel for channel, _ in tied} == {feature for _, feature in tied} == set(range(WIDE))
