"""Layers that share tensors, or compute them from others: refused by name where these would be pruned."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrizations

from zeroskip.model.search.plan import WEIGHTS
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.space import LayerSpace

SAMPLES = torch.randn(16, 12, generator=torch.Generator().manual_seed(0))


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.a, self.b = nn.Linear(12, 8), nn.Linear(12, 8)
        self.norms = nn.ModuleList([nn.BatchNorm1d(8), nn.BatchNorm1d(8)])
        self.slopes = nn.ModuleList([nn.PReLU(8), nn.PReLU(8)])
        self.c = nn.Linear(16, 3)

    def forward(self, x: Tensor) -> Tensor:
        branches = [
            slope(norm(layer(x))) for layer, norm, slope in zip((self.a, self.b), self.norms, self.slopes, strict=True)
        ]
        return self.c(torch.cat(branches, 1))


def weight(net: Net) -> None:
    net.b.weight = net.a.weight


def storage(net: Net) -> None:
    """Two parameters, but one memory."""
    net.b.weight = nn.Parameter(net.a.weight.data)


def bias(net: Net) -> None:
    net.b.bias = net.a.bias


def norm(net: Net) -> None:
    net.norms[1].weight = net.norms[0].weight


def mean(net: Net) -> None:
    net.norms[1].running_mean = net.norms[0].running_mean


def slope(net: Net) -> None:
    net.slopes[1].weight = net.slopes[0].weight


SHARED: dict[Callable[[Net], None], str] = {
    weight: "'a.weight' and 'b.weight' must be different tensors, .*: layer.weight = nn.Parameter",
    storage: "'a.weight' and 'b.weight' must be different tensors",
    bias: "'a.bias' and 'b.bias' must be different tensors, .*: layer.bias = nn.Parameter",
    norm: "'norms.0.weight' and 'norms.1.weight' must be different tensors",
    mean: "'norms.0.running_mean' and 'norms.1.running_mean' .*: layer.running_mean = layer.running_mean.detach",
    slope: "'slopes.0.weight' and 'slopes.1.weight' must be different tensors",
}


@pytest.mark.parametrize("share", SHARED)
def test_channels_of_layers_that_share(share: Callable[[Net], None]) -> None:
    net = Net().eval()
    share(net)
    with pytest.raises(ValueError, match=SHARED[share]):
        ChannelSpace(net, ["a", "b", "c"], SAMPLES)


@pytest.mark.parametrize("normalise", [parametrizations.spectral_norm, parametrizations.weight_norm])
@pytest.mark.parametrize("name", ["a", "c"])
def test_computed_weights(name: str, normalise: Callable[[nn.Module], nn.Module]) -> None:
    net = Net().eval()
    normalise(net.get_submodule(name))
    for make in (
        lambda: ChannelSpace(net, ["a", "b", "c"], SAMPLES),
        lambda: LayerSpace(net, WEIGHTS, ["a", "b", "c"], SAMPLES),
    ):
        with pytest.raises(ValueError, match=f"the weight of '{name}' must be a parameter, not computed from others"):
            make()


def test_weights_that_are_shared_elsewhere_are_no_matter() -> None:
    """One layer that is called twice has its own weight; the single weights of layers with one bias can be pruned."""
    net = Net().eval()
    bias(net)
    assert len(LayerSpace(net, WEIGHTS, ["a", "b", "c"], SAMPLES).groups) == 3
    twice = nn.Sequential(nn.Linear(12, 8), inner := nn.Linear(8, 8), nn.ReLU(), inner, nn.Linear(8, 3)).eval()
    names = [name for name, layer in twice.named_modules() if isinstance(layer, nn.Linear)]
    space = ChannelSpace(twice, names, SAMPLES)
    densities = {group.name: 0.5 for group in space.groups}
    pruned = space.masked(densities)
    assert torch.allclose(space.remove(pruned, densities)(SAMPLES), pruned(SAMPLES), atol=1e-5)
