"""The patches that a convolution sees: the weights times them are its outputs, for every kind of padding."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.search.layers import patches_of, read_layers


@pytest.mark.parametrize("mode", ["zeros", "circular", "reflect", "replicate"])
@pytest.mark.parametrize(
    "sizes",
    [
        {"kernel_size": 3, "padding": 1},
        {"kernel_size": (3, 2), "padding": (2, 1), "stride": (2, 1)},
        {"kernel_size": 3, "padding": "same"},
        {"kernel_size": (2, 4), "padding": "same", "dilation": (2, 1)},
        {"kernel_size": 3, "padding": "valid", "dilation": 2},
    ],
)
def test_weights_times_patches_are_the_outputs(sizes: dict, mode: str) -> None:
    torch.manual_seed(0)
    layer = nn.Conv2d(3, 5, padding_mode=mode, **sizes)
    given = torch.randn(4, 3, 7, 8)
    patches = patches_of(layer, given)
    with torch.no_grad():
        found = layer.weight.flatten(1) @ patches + layer.bias[:, None]
        torch.testing.assert_close(found, layer(given).flatten(2), atol=1e-5, rtol=1e-5)


def test_rows_of_a_linear_layer_are_its_inputs_one_by_one() -> None:
    """A layer that runs on several vectors of an image has a row for each of them."""
    torch.manual_seed(0)
    given = torch.randn(2, 5, 4).relu()
    (layer,) = read_layers(nn.Sequential(nn.Linear(4, 3), nn.Flatten()), given.numpy())
    assert (layer.positions, layer.images, layer.rows.shape) == (5, 2, (10, 4))
    assert np.array_equal(layer.rows, given.reshape(10, 4).numpy() != 0)
    assert (layer.weights, layer.macs, layer.channels) == (12, 60, (4, 3))


def test_batch_norm_gives_a_layer_a_bias() -> None:
    """Only where it takes the outputs of that layer as they are."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 4, 1, bias=False),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 1, bias=False),
        nn.ReLU(),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 4, 1),
        nn.Flatten(),
    ).eval()
    layers = read_layers(module, np.ones((2, 2, 3, 3), np.float32))
    assert [layer.bias for layer in layers] == [True, False, True]
