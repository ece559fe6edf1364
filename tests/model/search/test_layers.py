"""The patches that a convolution sees: the weights times them are its outputs, for every kind of padding."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from zeroskip.model.search.layers import patches_of


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
