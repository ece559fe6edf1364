"""Networks that flatten with a fixed number, changed so that they flatten any size."""

from __future__ import annotations

import copy
from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.fold import fold
from zeroskip.model.pruning.flattening import replace_views


class Net(nn.Module):
    """Flattens in the way of the test, and calls dropout in forward(); one layer is not used."""

    def __init__(self, flatten: Callable[[Tensor], Tensor]) -> None:
        super().__init__()
        self.unused = nn.Linear(1, 1)
        self.features = nn.Sequential(nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4))
        self.fc = nn.Linear(4 * 9, 3)
        self.flatten = flatten

    def forward(self, x: Tensor) -> Tensor:
        x = self.flatten(F.max_pool2d(F.relu(self.features(x)), 2))
        return self.fc(F.dropout(x, 0.9, training=self.training))


FLATTENINGS: dict[str, Callable[[Tensor], Tensor]] = {
    "view(-1, 36)": lambda x: x.view(-1, 36),
    "view(size(0), 36)": lambda x: x.view(x.size(0), 36),
    "view((shape[0], 36))": lambda x: x.view((x.shape[0], 36)),
    "reshape": lambda x: x.reshape(-1, 4 * 3 * 3),
    "torch.reshape": lambda x: torch.reshape(x, (-1, 36)),
}


@pytest.mark.parametrize("name", FLATTENINGS)
def test_reshapes_become_flattening(name: str) -> None:
    """The same names, parameters and outputs as the original network, and it accepts other sizes."""
    torch.manual_seed(1)
    module = Net(FLATTENINGS[name]).eval()
    changed = replace_views(module)
    assert changed is not module
    assert list(changed.state_dict()) == list(module.state_dict())
    assert all(changed.get_parameter(name) is value for name, value in module.named_parameters())
    images = torch.randn(5, 1, 8, 8)
    assert torch.equal(changed(images), module(images))
    assert torch.equal(fold(changed)(images), fold(module)(images))
    changed.fc = nn.Linear(4 * 3 * 1, 3)
    assert changed(torch.randn(5, 1, 8, 4)).shape == (5, 3)


@pytest.mark.parametrize("name", FLATTENINGS)
def test_copies_are_whole_and_follow_the_mode(name: str) -> None:
    torch.manual_seed(1)
    module = Net(FLATTENINGS[name]).eval()
    changed = replace_views(module)
    images = torch.randn(5, 1, 8, 8)
    copied = copy.deepcopy(changed)
    assert list(copied.state_dict()) == list(module.state_dict())
    assert copied.fc is not changed.fc
    assert torch.equal(copied(images), module(images))
    copied.train()
    assert not torch.equal(copied(images), copied(images))


@pytest.mark.parametrize(
    "flatten",
    [
        lambda x: x.flatten(1),
        lambda x: x.view(-1, 4, 9).flatten(1),
        lambda x: x.view(x.size(0), -1),
        lambda x: x.view(-1, 36) if x.sum() > 0 else x.flatten(1),
    ],
)
def test_others_stay_what_they_are(flatten: Callable[[Tensor], Tensor]) -> None:
    module = Net(flatten)
    assert replace_views(module) is module
    assert all(part.training for part in module.modules())


def guarded(x: Tensor) -> Tensor:
    if x.shape[2:] != (3, 3):
        raise ValueError("images must be 8 x 8")
    return x.view(-1, 4 * x.size(2) * x.size(3))


def test_a_network_that_looks_at_shapes_needs_samples() -> None:
    """With them, it takes other numbers of samples and of channels, in both modes, and is itself not changed."""
    torch.manual_seed(1)
    module = Net(guarded).train()
    images = torch.randn(5, 1, 8, 8)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    assert replace_views(module) is module
    changed = replace_views(module, images)
    assert changed is not module
    assert all(torch.equal(value, before[name]) for name, value in module.state_dict().items())
    changed.train()
    assert changed(images).shape == (5, 3)
    assert torch.equal(changed.eval()(images), module.eval()(images))
    changed.features = nn.Sequential(nn.Conv2d(1, 2, 3), nn.BatchNorm2d(2))
    changed.fc = nn.Linear(2 * 9, 3)
    assert changed(images).shape == (5, 3)


def test_a_reshape_of_known_samples_to_something_else_stays() -> None:
    def by_rows(x: Tensor) -> Tensor:
        return guarded(x).view(-1, 36) if x.dim() == 4 else x.view(x.size(0), 4, -1)

    module = Net(lambda x: by_rows(x).view(x.size(0), 6, 6).view(x.size(0), 36))
    assert replace_views(module, torch.randn(5, 1, 8, 8)) is module


def test_the_callers_random_numbers_stay() -> None:
    """Networks that look at shapes are run, with their dropout."""
    torch.manual_seed(1)
    module = Net(lambda x: x.view(-1, 36) if x.shape[-1] == 3 else x.flatten(1))
    before = torch.random.get_rng_state()
    changed = replace_views(module, torch.randn(5, 1, 8, 8, generator=torch.Generator().manual_seed(2)))
    assert changed is not module
    assert torch.equal(torch.random.get_rng_state(), before)
