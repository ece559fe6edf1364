"""Channel groups: a network without them computes the same as the masked one, and costs what the table says."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.searching import GEOMETRIES
from torch import Tensor, nn

from zeroskip.model.networks import lenet_5, mobilenet_v1, plain_20, resnet_20
from zeroskip.model.pruning.criteria import Random, l1
from zeroskip.model.pruning.data_checks import network_outputs
from zeroskip.model.pruning.masks import Masks, prunable_layers
from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.plan import LayerPlan, Plan
from zeroskip.model.search.spaces.channels import ChannelSpace


class Branches(nn.Module):
    """A network with a concatenation, a residual addition after it, a grouped convolution, and flattening."""

    def __init__(self) -> None:
        super().__init__()
        self.left = nn.Conv2d(2, 4, 3, padding=1)
        self.right = nn.Conv2d(2, 6, 1)
        self.norm = nn.BatchNorm2d(10)
        self.join = nn.Conv2d(10, 10, 1)
        self.grouped = nn.Conv2d(10, 8, 3, groups=2)
        self.last = nn.Conv2d(8, 5, 1, bias=False)
        self.out = nn.Linear(5 * 4 * 4, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = torch.relu(self.norm(torch.cat([self.left(x), self.right(x)], 1)))
        joined = torch.relu(self.join(both) + both)
        return self.out(torch.relu(self.last(torch.relu(self.grouped(joined)))).flatten(1))


NETWORKS = {
    "lenet": (lambda: lenet_5(), (1, 28, 28)),
    "plain": (lambda: plain_20(width=0.5, inputs=1), (1, 8, 8)),
    "residual": (lambda: resnet_20(width=0.5), (3, 8, 8)),
    "depthwise": (lambda: mobilenet_v1(width=0.25, classes=7, first_stride=1), (3, 16, 16)),
    "branches": (Branches, (2, 6, 6)),
}


def lively(name: str, seed: int = 0) -> tuple[nn.Module, Tensor]:
    """A network whose batch normalisation is not the identity, and inputs."""
    make, shape = NETWORKS[name]
    module = make().eval()
    torch.manual_seed(seed)
    for part in module.modules():
        if isinstance(part, nn.BatchNorm2d):
            for tensor, low, high in ((part.weight, 0.5, 1.5), (part.bias, -0.3, 0.3)):
                nn.init.uniform_(tensor, low, high)
            nn.init.uniform_(part.running_mean, -0.2, 0.2)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return module, torch.rand(40, *shape)


def space_of(name: str) -> tuple[ChannelSpace, Tensor]:
    module, inputs = lively(name)
    layers = read_layers(module, inputs[:2].numpy())
    return ChannelSpace(module, [layer.name for layer in layers], inputs), inputs


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("seed", [0, 1])
def test_removed_is_masked(name: str, seed: int) -> None:
    space, inputs = space_of(name)
    rng = np.random.default_rng(seed)
    densities = {group.name: group.nearest(rng.uniform(0.2, 1)) for group in space.groups}
    masked = space.masked(densities, Random(seed=seed))
    small = space.remove(masked, densities)
    expected = network_outputs(masked, inputs)
    assert torch.allclose(network_outputs(small, inputs), expected, atol=1e-4 * float(expected.abs().max()))
    sizes = {layer: part.weight.numel() for layer, part in prunable_layers(small).items()}
    dense = {layer: part.weight.numel() for layer, part in prunable_layers(space.module).items()}
    points = space.points(densities)
    for layer, size in sizes.items():
        assert size == pytest.approx(dense[layer] * float(np.prod(points[layer])))
    assert sum(sizes.values()) / sum(dense.values()) == pytest.approx(space.kept(densities))
    assert sum(sizes.values()) < sum(dense.values())


def test_what_is_left_is_normalised_anew() -> None:
    """Only the removed outputs of the first convolution change, so its normalisation has the statistics of the rest."""
    space, inputs = space_of("plain")
    densities = {group.name: group.nearest(0.5) for group in space.groups}
    small = space.remove(space.masked(densities), densities)
    with torch.no_grad():
        first = small[0](inputs)
    assert torch.allclose(small[1].running_mean, first.mean((0, 2, 3)), atol=1e-5)
    assert torch.allclose(small[1].running_var, first.var((0, 2, 3)), rtol=1e-3)


@pytest.mark.parametrize("name", NETWORKS)
@pytest.mark.parametrize("cost", ["macs", "params", "mma-cycles"])
def test_the_table_is_the_smaller_networks_dense_cost(name: str, cost: str) -> None:
    """For cycles too, at the points of the table: at all channels, and at the fewest of its grid."""
    space, inputs = space_of(name)

    def table(module: nn.Module) -> CostTable:
        layers = read_layers(module, inputs[:2].numpy())
        return cost_table(cost, layers, "channels", geometries=GEOMETRIES)

    densities = {group.name: group.nearest(0.5) for group in space.groups}
    small = space.remove(space.masked(densities), densities)
    bound = 0.05 if cost == "mma-cycles" else 1e-9
    assert table(space.module).total(space.points(densities)) == pytest.approx(table(small).dense, rel=bound)


def test_groups_of_residual_streams() -> None:
    space, _ = space_of("residual")
    groups = {group.name: group.layers for group in space.groups}
    # One group for the additions of each stage, and one inside of each block.
    assert len(groups) == 3 + 9
    assert groups["0"] == ("0", "3.body.3", "4.body.3", "5.body.3")
    assert set(groups["6.body.3"]) == {"6.body.3", "6.shortcut.0", "7.body.3", "8.body.3"}
    assert groups["7.body.0"] == ("7.body.0",)


def test_a_density_of_a_residual_stream_is_that_of_its_layers() -> None:
    space, _ = space_of("residual")
    groups = {group.name: group.layers for group in space.groups}
    plan = space.plan({"0": 0.5}, method="", cost="", budget=1, reached=1)
    assert {layer for layer, density in plan.densities.items() if density == 0.5} == set(groups["0"])
    assert space.densities(plan) == {name: 0.5 if name == "0" else 1.0 for name in groups}


def test_groups_of_other_edges() -> None:
    depthwise, _ = space_of("depthwise")
    assert depthwise.groups[0].layers == ("0", "3")
    assert depthwise.points({"0": 0.5})["3"] == (0.5,)
    assert depthwise.points({"0": 0.5})["6"] == (0.5, 1.0)
    branches, _ = space_of("branches")
    # Channels that reach the grouped convolution cannot be removed, nor can the network's outputs.
    assert {group.name for group in branches.groups} == {"last"}
    assert branches.points({"last": 0.4})["out"] == (0.4, 1.0)


class Odd(nn.Module):
    """A network that is hard for a dependency graph: a concatenation that is added to another branch, normalisation
    without weights, a check of sizes, and an unknown layer."""

    def __init__(self) -> None:
        super().__init__()
        self.c = nn.Conv2d(2, 10, 1)
        self.a, self.b = nn.Conv2d(2, 4, 1), nn.Conv2d(2, 6, 1)
        self.bare = nn.BatchNorm2d(10, affine=False)
        self.free = nn.Conv2d(10, 8, 1)
        self.checked = nn.Conv2d(8, 8, 1)
        self.known = nn.GroupNorm(2, 8)
        self.out = nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        both = self.bare(torch.cat([self.a(x), self.b(x)], 1) + self.c(x))
        checked = self.checked(torch.relu(self.free(torch.relu(both))))
        assert checked.shape[1] == 8
        return self.out(self.known(checked).mean((2, 3)))


def test_what_stands_in_the_way_stays_whole() -> None:
    torch.manual_seed(0)
    module, inputs = Odd().eval(), torch.rand(20, 2, 5, 5)
    layers = read_layers(module, inputs[:2].numpy())
    space = ChannelSpace(module, [layer.name for layer in layers], inputs)
    assert [group.name for group in space.groups] == ["free"]
    masked = space.masked({"free": 0.5})
    assert torch.allclose(
        network_outputs(space.remove(masked, {"free": 0.5}), inputs), network_outputs(masked, inputs), atol=1e-6
    )


def test_masks_hold_in_training() -> None:
    space, inputs = space_of("residual")
    densities = {group.name: group.nearest(0.5) for group in space.groups}
    module = space.masked(densities)
    labels = torch.arange(len(inputs)) % 10
    optimizer = torch.optim.SGD(module.parameters(), 0.1, momentum=0.9, weight_decay=1e-3)
    module.train()
    with Masks(module, space.masks(module, densities)):
        for _ in range(3):
            optimizer.zero_grad()
            nn.functional.cross_entropy(module(inputs), labels).backward()
            optimizer.step()
    small = space.remove(module, densities)
    expected = network_outputs(module, inputs)
    assert torch.allclose(network_outputs(small, inputs), expected, atol=1e-4 * float(expected.abs().max()))


def test_channels_that_are_gone_go_first() -> None:
    space, _ = space_of("plain")
    first = {group.name: group.nearest(0.75) for group in space.groups}
    half = {group.name: group.nearest(0.5) for group in space.groups}
    pruned = space.masked(first)
    once, twice = space.masks(pruned, first), space.masks(pruned, half, Random(seed=1))
    assert twice.keys() == once.keys()
    for name, mask in twice.items():
        assert int(mask.sum()) < int(once[name].sum())
        assert not (mask & ~once[name]).any()


@pytest.mark.parametrize("kernel", [1, 3])
def test_reconstruction_comes_nearer(kernel: int) -> None:
    """A refitted layer has a smaller error than one that is not, on images that it was not fitted to. The channels go
    by magnitude: those that cost least go first otherwise, which leaves little to mend."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(3, 12, 3), nn.ReLU(), nn.Conv2d(12, 5, kernel), nn.Flatten())
    inputs = torch.rand(150, 3, 9, 9)
    space = ChannelSpace(module, ["0", "2"], inputs[:100])
    expected = network_outputs(module, inputs[100:])
    for density in (0.75, 0.5, 0.25):
        plain = space.masked({})
        Masks(plain, space.masks(module, {"0": density}, l1)).apply()
        fitted, cut = (
            (network_outputs(one, inputs[100:]) - expected).norm() for one in (space.masked({"0": density}, l1), plain)
        )
        assert fitted < cut


def test_reconstruction_is_exact_where_it_can_be() -> None:
    """A channel that is the sum of two others can be removed without an error, with any kernel."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 4, 1, bias=False), nn.Conv2d(4, 5, 3), nn.Flatten(), nn.Linear(5 * 36, 3))
    with torch.no_grad():
        module[0].weight[3] = 0.2 * (module[0].weight[0] + module[0].weight[1])
    inputs = torch.randn(200, 2, 8, 8)
    space = ChannelSpace(module, ["0", "1", "3"], inputs)
    pruned = space.masked({"0": 0.75})
    assert not pruned[0].weight[3].any()
    expected = network_outputs(module, inputs)
    # Four channels depend on two inputs: without the ridge their Gram matrix is singular.
    assert torch.allclose(network_outputs(pruned, inputs), expected, atol=0.02 * float(expected.abs().max()))


def test_what_cannot_be_pruned_is_told() -> None:
    with pytest.raises(ValueError, match="Sequential has no channels that can be removed"):
        ChannelSpace(nn.Sequential(nn.Flatten(), nn.Linear(4, 3)), ["1"], torch.rand(3, 4))

    class Broken(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            raise RuntimeError("out of order")

    with pytest.raises(ValueError, match=re.escape("no dependency graph of the network's channels can be built (Runt")):
        ChannelSpace(Broken(), [], torch.rand(3, 4))


class Softmax(nn.Module):
    """It reshapes to one row for each channel, which is not a flattening and would compute something else as one."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.out = nn.Conv2d(1, 8, 3, padding=1), nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.conv(x).view(-1, 36).softmax(1).view(x.shape[0], -1, 36).sum(1))


def test_a_reshaping_that_is_no_flattening() -> None:
    with pytest.raises(ValueError, match=r"Softmax has channels .*: its forward\(\) reshapes"):
        ChannelSpace(Softmax().eval(), ["conv", "out"], torch.rand(4, 1, 6, 6))


def test_frozen_channels_are_removed_like_others() -> None:
    module = nn.Sequential(nn.Conv2d(1, 8, 3), nn.Flatten(), nn.Linear(8 * 16, 3)).eval()
    module[0].requires_grad_(False)
    space = ChannelSpace(module, ["0", "2"], torch.rand(4, 1, 6, 6))
    assert [group.name for group in space.groups] == ["0"]
    assert [value.requires_grad for value in module.parameters()] == [False, False, True, True]


def test_plans_that_tear_apart_what_belongs_together() -> None:
    space, _ = space_of("residual")
    plan = space.plan({"0": 0.5}, method="", cost="", budget=1, reached=1)
    layers = tuple(
        LayerPlan(name=layer.name, shape=layer.shape, density=1.0 if layer.name == "4.body.3" else layer.density)
        for layer in plan.layers
    )
    torn = Plan(granularity="channels", layers=layers, method="", cost="", budget=1, reached=1)
    with pytest.raises(ValueError, match=re.escape("density of '4.body.3' must be 0.5, as it shares its channels")):
        space.densities(torn)


class Ending(nn.Module):
    """Three outputs, made in the way that is given of eight channels of `a`."""

    def __init__(self, end: Callable[[Ending, Tensor], Tensor]) -> None:
        super().__init__()
        self.a, self.b, self.c = nn.Linear(12, 8), nn.Linear(8, 8), nn.Linear(8, 3)
        self.matrix, self.end = nn.Parameter(torch.randn(8, 3)), end

    def forward(self, x: Tensor) -> Tensor:
        return self.end(self, torch.relu(self.b(torch.relu(self.a(x)))))


OUTPUTS = "they are the network's outputs"
NO_LAYER = "an operation that is no layer makes the network's outputs of them"


@pytest.mark.parametrize(
    ("end", "whole"),
    [
        (lambda net, x: net.c(x), {"c": OUTPUTS}),
        (lambda net, x: torch.log_softmax(net.c(x), 1), {"c": OUTPUTS}),
        (lambda net, x: x @ net.matrix, {"b": NO_LAYER}),
        (lambda net, x: x[:, :3], {"b": NO_LAYER}),
        (
            lambda net, x: net.c(x) * x.mean(1, keepdim=True),
            {"b": "an operation takes them to the network's outputs, past the layers that read them", "c": OUTPUTS},
        ),
    ],
)
def test_why_channels_at_the_end_stay(end: Callable[[Ending, Tensor], Tensor], whole: dict[str, str]) -> None:
    torch.manual_seed(0)
    samples = torch.randn(8, 12, generator=torch.Generator().manual_seed(0))
    assert ChannelSpace(Ending(end).eval(), ["a", "b", "c"], samples).whole == whole
