"""The second moments that layers get, against vectors that are written down one by one."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.network.fold import fold
from zeroskip.model.network.layerwise import LEAST_SAMPLES, SAMPLES, layer_by_layer, moments
from zeroskip.model.network.operations import Recurrence
from zeroskip.model.network.subset import chosen


def mean_product(vectors: list[np.ndarray]) -> np.ndarray:
    """With the constant one behind each vector."""
    return np.mean([np.outer(np.append(vector, 1), np.append(vector, 1)) for vector in vectors], axis=0)


def test_moments_of_a_linear_layer() -> None:
    given = torch.randn(5, 3, 4)
    (found,) = moments(nn.Linear(4, 2), given)
    np.testing.assert_allclose(found, mean_product(list(given.reshape(15, 4).double().numpy())), rtol=1e-6)


@pytest.mark.parametrize(
    ("groups", "stride", "padding", "dilation"), [(1, 1, 0, 1), (2, (2, 1), (1, 2), (1, 2)), (4, 3, 1, 2)]
)
def test_moments_of_a_convolution(groups: int, stride: int, padding: int, dilation: int) -> None:
    layer = nn.Conv2d(4, 8, (3, 2), stride, padding, dilation, groups)
    given = torch.randn(3, 4, 7, 8)
    found = moments(layer, given)
    (down, across), (high, wide), (deep, broad) = layer.stride, layer.padding, layer.dilation
    zeros = np.pad(given.double().numpy(), ((0, 0), (0, 0), (high, high), (wide, wide)))
    places = itertools.product(
        range(0, zeros.shape[2] - 2 * deep, down), range(0, zeros.shape[3] - broad, across), range(3)
    )
    patches = [zeros[n, :, y : y + 2 * deep + 1 : deep, x : x + broad + 1 : broad] for y, x, n in places]
    for group, part in enumerate(found):
        channels = slice(group * 4 // groups, (group + 1) * 4 // groups)
        np.testing.assert_allclose(part, mean_product([patch[channels].ravel() for patch in patches]), rtol=1e-5)


def test_a_layer_sees_what_the_changed_ones_before_it_give() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2))
    inputs = np.random.default_rng(0).normal(size=(20, 3)).astype(np.float32)
    folded, seen = fold(module, inputs), []

    def halve(number: int, layer: nn.Linear | nn.Conv2d, found: np.ndarray) -> None:
        seen.append(found[0])
        layer.weight.mul_(0.5)

    changed = layer_by_layer(folded, inputs, halve, task="halving")
    weight, bias = (value.detach().double().numpy() for value in module[0].parameters())
    hidden = np.maximum(inputs @ weight.T / 2 + bias, 0)
    np.testing.assert_allclose(seen[0], mean_product(list(inputs)), rtol=1e-5)
    np.testing.assert_allclose(seen[1], mean_product(list(hidden)), rtol=1e-5)
    assert torch.equal(changed.layers[1].weight, module[2].weight / 2)
    assert torch.equal(folded.layers[1].weight, module[2].weight)


class Recurrent(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.rnn, self.head = nn.RNN(2, 3, batch_first=True), nn.Linear(3, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.rnn(x)[0])


def test_a_recurrent_layer_reads_the_states_before_each_step() -> None:
    torch.manual_seed(1)
    module, inputs, seen = Recurrent(), torch.randn(6, 4, 2), {}
    folded = fold(module, inputs)
    layer_by_layer(folded, inputs.numpy(), lambda number, layer, found: seen.update({number: found[0]}), task="")
    (place,) = [number for number, operation in enumerate(folded.operations) if isinstance(operation, Recurrence)]
    states = module.rnn(inputs)[0].detach().double().numpy()
    read = [state for sample in states for state in (np.zeros(3), *sample[:-1])]
    np.testing.assert_allclose(seen[place], mean_product(read), rtol=1e-5)


def test_many_samples_are_chosen_by_chance_and_fewer_where_they_are_large() -> None:
    for width, count in ((2, SAMPLES), (1 << 17, LEAST_SAMPLES)):
        inputs = np.random.default_rng(0).normal(size=(600, width)).astype(np.float32)
        folded, seen = fold(nn.Conv2d(1, 1, 1), inputs.reshape(600, 1, 1, width)), []
        images = inputs.reshape(600, 1, 1, width)
        layer_by_layer(folded, images, lambda number, layer, found, into=seen: into.append(found), task="")
        values = inputs[chosen(600, count)].ravel()
        assert seen[0][0][0, 0] == pytest.approx((values.astype(np.float64) ** 2).mean())


def test_inputs_that_overflow_are_named() -> None:
    inputs = np.full((4, 3), 3e38, np.float32)
    folded = fold(nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 2)), inputs)
    folded.layers[0].weight.data.fill_(1.0)
    with pytest.raises(ValueError, match=r"^operation 1 of the folded network: its inputs must be finite, but"):
        layer_by_layer(folded, inputs, lambda *_: None, task="")
