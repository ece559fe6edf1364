"""Layers that lose channels: their tensors, their attributes, and the errors."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor, nn

from zeroskip.model.pruning.resize import shrink_layers


def network() -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(1, 8, 3),
        nn.BatchNorm2d(8),
        nn.PReLU(8),
        nn.Conv2d(8, 16, 3, groups=8, bias=False),
        nn.Conv2d(16, 6, 1, groups=2),
        nn.Flatten(),
        nn.Linear(6 * 16, 5),
        nn.BatchNorm1d(5),
    )


SHAPES = {
    "0.weight": (5, 1, 3, 3),
    "0.bias": (5,),
    "1.weight": (5,),
    "1.bias": (5,),
    "1.running_mean": (5,),
    "1.running_var": (5,),
    "2.weight": (5,),
    "3.weight": (10, 1, 3, 3),
    "4.weight": (4, 5, 1, 1),
    "4.bias": (4,),
    "6.weight": (3, 4 * 16),
    "6.bias": (3,),
    "7.weight": (3,),
    "7.bias": (3,),
    "7.running_mean": (3,),
    "7.running_var": (3,),
}


def state(**changes: tuple[int, ...]) -> dict[str, Tensor]:
    """A state_dict of these shapes; `changes` name tensors with _ in the place of the dot."""
    shapes = SHAPES | {name.replace("_", ".", 1): shape for name, shape in changes.items()}
    full = network().state_dict()
    return {name: torch.rand(shapes.get(name, tuple(value.shape))) for name, value in full.items()}


def test_every_layer_that_can_loses_channels() -> None:
    """One network with every kind of layer that can lose channels: one line for each."""
    module, smaller = network().eval(), state()
    module[0].weight.requires_grad_(False)
    shrink_layers(module, smaller)
    module.load_state_dict(smaller)
    assert not module[0].weight.requires_grad
    assert all(isinstance(value, nn.Parameter) for value in module.parameters())
    assert (module[0].in_channels, module[0].out_channels, module[0].groups) == (1, 5, 1)
    assert (module[1].num_features, module[2].num_parameters, module[7].num_features) == (5, 5, 3)
    assert (module[3].in_channels, module[3].out_channels, module[3].groups) == (5, 10, 5)
    assert (module[4].in_channels, module[4].out_channels, module[4].groups) == (10, 4, 2)
    assert (module[6].in_features, module[6].out_features) == (64, 3)
    assert module(torch.randn(2, 1, 8, 8)).shape == (2, 3)


def test_what_has_its_shape_stays_what_it_is() -> None:
    module = network()
    before = {name: id(value) for name, value in module.named_parameters()}
    shrink_layers(module, module.state_dict())
    assert {name: id(value) for name, value in module.named_parameters()} == before


def test_tied_weights_stay_tied() -> None:
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 4, bias=False))
    module[1].weight = module[0].weight
    shrink_layers(module, {"0.weight": torch.zeros(3, 3), "1.weight": torch.zeros(3, 3)})
    assert module[1].weight is module[0].weight
    assert module[1].weight.shape == (3, 3)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"0_weight": (9, 1, 3, 3)}, "layer '0' (Conv2d): weight must be (8, 1, 3, 3) or have fewer channels, not (9"),
        ({"0_weight": (5, 1, 3, 1)}, "layer '0' (Conv2d): weight must be (8, 1, 3, 3) or have fewer channels, not (5"),
        ({"0_weight": (0, 1, 3, 3)}, "layer '0' (Conv2d): weight must be (8, 1, 3, 3) or have fewer channels, not (0"),
        ({"6_weight": (64,)}, "layer '6' (Linear): weight must be (5, 96) or have fewer channels, not (64,)"),
        ({"0_bias": (4,)}, "layer '0' (Conv2d): all must have the same number of channels, not weight 5, bias 4"),
        (
            {"1_running_var": (4,)},
            "layer '1' (BatchNorm2d): all must have the same number of channels, not weight 5, b",
        ),
        ({"3_weight": (9, 1, 3, 3)}, "layer '3' (Conv2d): weight must have a multiple of 2 outputs, not 9"),
        ({"4_weight": (3, 5, 1, 1), "4_bias": (3,)}, "layer '4' (Conv2d): weight must have a multiple of 2 outputs"),
    ],
)
def test_what_does_not_fit_is_refused(changes: dict[str, tuple[int, ...]], message: str) -> None:
    module = network()
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        shrink_layers(module, state(**changes))
    # Nothing has changed.
    assert module[0].weight.shape == (8, 1, 3, 3)


def test_other_layers_are_refused() -> None:
    module = nn.Sequential(nn.Conv2d(1, 4, 3), nn.GroupNorm(2, 4))
    smaller = {name: value[:2] for name, value in module.state_dict().items()}
    message = r"^layer '1' \(GroupNorm\) cannot lose channels; Linear, Conv2d, BatchNorm1d, BatchNorm2d and PReLU can$"
    with pytest.raises(ValueError, match=message):
        shrink_layers(module, smaller)
