"""How large values are, against counts by numpy."""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.network.fold import fold
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.ranges import input_magnitudes


def counts(*arrays: NDArray[np.float32]) -> dict[int, int]:
    """How many non-zero values lie in [2**(e-1), 2**e), by e."""
    found: dict[int, int] = {}
    for value in np.concatenate([array.ravel() for array in arrays]).tolist():
        if value != 0:
            exponent = math.floor(math.log2(abs(value))) + 1
            found[exponent] = found.get(exponent, 0) + 1
    return found


def counted(magnitudes: Magnitudes) -> dict[int, int]:
    """The same of what was counted; the first place is that of the exponent -160."""
    return {int(at) - 160: int(magnitudes.counts[at]) for at in np.flatnonzero(magnitudes.counts)}


def test_values_are_counted_by_exponent_without_zeros() -> None:
    values = np.float32([0, -0.0, 1, -1.5, 0.25, 3e-5, -3e-5, 65504, 1e-45, 3.4e38])
    more = np.zeros(7, np.float32)
    found = Magnitudes.of(values, more, np.float32([]))
    assert counted(found) == counts(values) == {1: 2, -1: 1, -15: 2, 16: 1, -148: 1, 128: 1}
    assert found.top == np.float32(3.4e38)
    assert (Magnitudes.of(more).top, counted(Magnitudes.of(more))) == (0.0, {})
    together = found + Magnitudes.of(np.float32([0.3]))
    assert counted(together) == {**counts(values), -1: 2}


def test_the_share_below_a_power_of_two_is_that_of_the_non_zero_values() -> None:
    rng = np.random.default_rng(1)
    values = np.append(rng.normal(size=500) * 2.0 ** rng.integers(-20, 5, 500), np.zeros(100))
    magnitudes = Magnitudes.of(values)
    for exponent in range(-30, 12):
        assert magnitudes.share_below(exponent) == np.mean(np.abs(values[:500]) < 2.0**exponent)
    assert Magnitudes.of(np.zeros(3)).share_below(5) == 0


def test_inputs_of_each_layer_are_counted_once_for_every_sample() -> None:
    """More samples than are looked at together; the activations are torch's."""
    torch.manual_seed(2)
    network = nn.Sequential(nn.Linear(5, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    inputs = np.random.default_rng(3).normal(size=(150, 5)).astype(np.float32)
    found = input_magnitudes(fold(network), inputs)
    with torch.no_grad():
        hidden = torch.relu(network[0](torch.from_numpy(inputs))).numpy()
    assert [counted(one) for one in found] == [counts(inputs), counts(hidden)]
    assert found[0].top == np.abs(inputs).max()
