"""The comparison of two networks' outputs that decides whether channels may be removed."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from zeroskip.model.search.spaces import channel_checks
from zeroskip.model.search.spaces.channel_checks import checked_groups, difference
from zeroskip.model.search.spaces.channel_probing import is_depthwise, read_dependences
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.read_groups import read_groups

INPUTS = torch.tensor([[1.0, 2.0], [-4.0, 3.0]])


class Gives(nn.Module):
    """A network that gives the inputs times the factors, and a layer that each network may have."""

    def __init__(self, *factors: float) -> None:
        super().__init__()
        self.factors = nn.Parameter(torch.tensor(factors))

    def forward(self, x: Tensor) -> Tensor:
        return x * self.factors


@pytest.mark.parametrize(
    ("factors", "told"),
    [
        ((1.0, 1.0), ""),
        ((1.0, 1.25), "the outputs differ by 19% of the largest when some of them, which are zero, are removed"),
        ((0.0, 1.0), "the outputs differ by 100% of the largest when some of them, which are zero, are removed"),
        ((-1.0, 1.0), "the outputs differ by 200% of the largest when some of them, which are zero, are removed"),
        ((1.0, 1.0001), ""),
        ((1.0, 1.001), "the outputs differ by 0% of the largest when some of them, which are zero, are removed"),
    ],
)
def test_the_difference_is_a_share_of_the_largest_output(factors: tuple[float, float], told: str) -> None:
    """Of the outputs 1, 2, -4 and 3. What is at most 1e-4 of the largest, 4, needs no closer look."""
    assert difference(Gives(1.0, 1.0), Gives(*factors), INPUTS) == told


def test_outputs_that_should_be_zero() -> None:
    told = "the outputs differ when some of them, which are zero, are removed"
    assert difference(Gives(0.0, 0.0), Gives(0.0, 1.0), INPUTS) == told
    assert difference(Gives(0.0, 0.0), Gives(0.0, 0.0), INPUTS) == ""


@pytest.mark.parametrize("trains", [(True, True), (True, False), (False, True)])
def test_networks_are_compared_in_evaluation_and_keep_their_modes(trains: tuple[bool, bool]) -> None:
    torch.manual_seed(3)
    network = nn.Sequential(nn.BatchNorm1d(2), nn.Linear(2, 30), nn.Dropout(0.5))
    pair = [copy.deepcopy(network).train(trains[at]) for at in (0, 1)]
    before = copy.deepcopy(pair[0].state_dict())
    assert difference(*pair, INPUTS) == ""
    assert [one.training for one in pair] == list(trains)
    assert all(torch.equal(value, before[name]) for name, value in pair[0].state_dict().items())


def test_some_channels_of_many_kinds_are_tried() -> None:
    """Half and a quarter of them drawn at random, the second half, the first, every other one, all but one."""
    drawn, fewer, second, first, odd, one = channel_checks._samples(12, np.random.default_rng(4))
    assert (len(set(drawn.tolist())), len(set(fewer.tolist()))) == (6, 3)
    assert set(fewer.tolist()) < set(drawn.tolist()) < set(range(12))
    assert second.tolist() == [6, 7, 8, 9, 10, 11]
    assert first.tolist() == [0, 1, 2, 3, 4, 5]
    assert odd.tolist() == [1, 3, 5, 7, 9, 11]
    assert len(set(one.tolist())) == 11
    assert [sample.tolist() for sample in channel_checks._samples(1, np.random.default_rng(4))][:4] == [[0]] * 4


def test_random_parameters_kill_no_deep_layer() -> None:
    """In twenty layers with ReLU, of 24 channels each, some outputs are alive, and none is huge: what a group's
    removal changes is seen at the end. The scale is that of the outputs with He et al.'s weights, about one."""
    torch.manual_seed(5)
    parts = [part for _ in range(20) for part in (nn.Conv2d(24, 24, 3, padding=1), nn.BatchNorm2d(24), nn.ReLU())]
    network = nn.Sequential(*parts).eval()
    for value in network.parameters():
        nn.init.zeros_(value)
    channel_checks._randomise(network)
    assert all(0 <= float(layer.bias.detach().mean()) <= 0.2 for layer in network if isinstance(layer, nn.Conv2d))
    x = torch.randn(4, 24, 8, 8)
    with torch.no_grad():
        for layer in network:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                assert 0.2 < float((x > 0).float().mean()) < 0.98
    assert 0.1 < float(x.std()) < 1e6


def test_a_fault_behind_many_layers_is_seen() -> None:
    """The columns of the last layer in another order; a network whose outputs were dead would hide it."""
    torch.manual_seed(6)
    layers = [part for _ in range(8) for part in (nn.Linear(8, 8), nn.ReLU())]
    network = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), *layers, nn.Linear(8, 3)).eval()
    sample = torch.randn(1, 4)
    graph = read_groups(network, sample)
    assert len(graph.sizes) == 9
    graph.inputs["18"].channel[:] = graph.inputs["18"].channel[::-1].copy()
    checked = checked_groups(network, graph, sample)
    assert checked.whole["16"].startswith("the outputs differ by")
    assert set(checked.whole) == {"16", "18"}


def test_a_depthwise_convolution_of_two_channels_follows_the_layer_before_it() -> None:
    assert [is_depthwise(nn.Conv2d(count, 2 * count, 3, groups=count)) for count in (1, 2, 3)] == [False, True, True]
    torch.manual_seed(7)
    network = nn.Sequential(
        nn.Conv2d(3, 2, 3), nn.Conv2d(2, 2, 3, groups=2), nn.ReLU(), nn.Flatten(), nn.Linear(32, 4)
    ).eval()
    space = ChannelSpace(network, ["0", "1", "4"], torch.randn(6, 3, 8, 8))
    assert [(group.layers, group.total) for group in space.groups] == [(("0", "1"), 2)]
    assert space.points({"0": 0.5}) == {"0": (1.0, 0.5), "1": (0.5,), "4": (0.5, 1.0)}
    assert space.remove(space.masked({"0": 0.5}), {"0": 0.5})[1].groups == 1


def test_reading_channels_draws_no_random_numbers_of_the_callers() -> None:
    torch.manual_seed(8)
    network = nn.Sequential(nn.Linear(4, 6), nn.ReLU(), nn.Linear(6, 3)).eval()
    before = torch.random.get_rng_state()
    found = [read_dependences(network, torch.ones(1, 4)) for _ in range(2)]
    checked_groups(network, read_groups(network, torch.ones(1, 4)), torch.ones(1, 4))
    assert torch.equal(torch.random.get_rng_state(), before)
    assert found[0].edges.keys() == found[1].edges.keys()


def test_a_layer_that_does_not_run_costs_what_it_costs() -> None:
    """None of its channels belongs to a group, so all of them stay."""

    class Unused(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.unused = nn.Linear(4, 6), nn.Linear(6, 3), nn.Linear(5, 5)

        def forward(self, x: Tensor) -> Tensor:
            return self.b(torch.relu(self.a(x)))

    space = ChannelSpace(Unused().eval(), ["a", "b"], torch.randn(6, 4))
    assert space.points({"a": 0.5}) == {"a": (1.0, 0.5), "b": (0.5, 1.0), "unused": (1.0, 1.0)}
