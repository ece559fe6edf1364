"""Weight sharing that ruins many outputs of a layer is told; ordinary sharing is not."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.eie.core import EieCore
from zeroskip.model.eie.settings import EieSettings
from zeroskip.model.eie.shared import SharedLayer
from zeroskip.model.eie.sharing import share_layers, warn_of_rough_sharing
from zeroskip.model.network.fold import fold
from zeroskip.model.pruning.recipe import share

INPUTS = np.random.default_rng(0).normal(size=(20, 64)).astype(np.float32)


def network(scale: float) -> nn.Sequential:
    """A network that computes the same for every scale: one hidden unit is larger by it, and read by less."""
    torch.manual_seed(0)
    made = nn.Sequential(nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, 10))
    with torch.no_grad():
        made[0].weight[0] *= scale
        made[0].bias[0] *= scale
        made[2].weight[:, 0] /= scale
    return made.eval()


def told(folded: nn.Sequential) -> list[str]:
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_rough_sharing(folded, share_layers(folded, inputs=INPUTS))
    return [str(warning.message) for warning in caught]


def test_one_large_unit_leaves_nothing_for_the_others() -> None:
    (text,) = told(fold(network(316.0), INPUTS))
    assert text.startswith("layer 0, weights: the shared values of 15 of 16 outputs differ")
    assert "scale the layer's outputs alike" in text


@pytest.mark.parametrize("density", [1.0, 0.1])
def test_ordinary_weights_are_shared_without_a_word(density: float) -> None:
    torch.manual_seed(1)
    made = nn.Sequential(nn.Linear(64, 300), nn.ReLU(), nn.Linear(300, 10))
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.copy_(torch.randn_like(parameter) * (torch.rand_like(parameter) < density))
    assert told(fold(made.eval(), INPUTS)) == []


@pytest.mark.parametrize(("value", "lost"), [(1.45, False), (0.55, False), (1.55, True), (0.45, True), (-1.0, True)])
def test_an_output_counts_from_half_of_its_size_on(value: float, lost: bool) -> None:
    """A weight of 1, and the value that it shares."""
    layer = nn.Linear(1, 1, bias=False)
    layer.weight.data.fill_(1.0)
    codebook = np.zeros(16, np.float32)
    codebook[1] = value
    shared = SharedLayer(codebook=codebook, weight_codes=np.ones((1, 1), np.uint8), bias_codes=None, relu=False)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        warn_of_rough_sharing(fold(layer), [shared])
    assert ["1 of 1 outputs" in str(warning.message) for warning in caught] == [True] * lost


def test_compiling_and_sharing_tell_it() -> None:
    with pytest.warns(UserWarning, match="layer 0, weights: the shared values of 15 of 16 outputs"):
        EieCore().compile(network(316.0), INPUTS, EieSettings())
    with pytest.warns(UserWarning, match="layer 0, weights: the shared values of 15 of 16 outputs"):
        share(network(316.0), fold(network(316.0)), inputs=INPUTS)


def test_inputs_that_overflow_are_named() -> None:
    inputs = np.full((4, 64), 3e38, np.float32)
    made = network(1.0)
    made[0].weight.data.fill_(1.0)
    with pytest.raises(
        ValueError, match="operation 1 of the folded network: its inputs must be finite, but they overflow"
    ):
        EieCore().compile(made, inputs, EieSettings())
