"""Channels that meet all kinds of operations: removed rightly, or kept with the reason.

The oracle is the network itself. Where channels are zero throughout, removing them must change nothing.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.data.dataset import Dataset
from zeroskip.model.pruning.criteria import Random
from zeroskip.model.search.setup import prepare
from zeroskip.model.search.spaces import channels
from zeroskip.model.search.spaces.channel_checks import checked_groups
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.read_groups import read_groups

Forward = Callable[[Any, Tensor], Tensor]


class Net(nn.Module):
    """Convolutions `a`, `b` (3 to 8) and `c` (8 to 8), what the kind adds, and a linear layer."""

    def __init__(self, forward: Forward, width: int, added: dict[str, Any]) -> None:
        super().__init__()
        self.a, self.b = nn.Conv2d(3, 8, 3), nn.Conv2d(3, 8, 3)
        self.c = nn.Conv2d(8, 8, 3, padding=1)
        for name, one in added.items():
            setattr(self, name, one)
        self.out = nn.Linear(width, 5)
        self.between = forward

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.between(self, x))

    def first(self, x: Tensor) -> Tensor:
        """(n, 8, 6, 6)"""
        return torch.relu(self.a(x))

    def second(self, x: Tensor) -> Tensor:
        """(n, 8, 6, 6)"""
        return torch.relu(self.b(x))


def made(kind: tuple[Any, ...], seed: int = 0) -> Net:
    forward, width, *added = kind
    torch.manual_seed(seed)
    net = Net(forward, width, added[0]() if added else {}).eval()
    for part in net.modules():
        if isinstance(part, nn.BatchNorm2d):
            nn.init.uniform_(part.weight, 0.5, 1.5)
            nn.init.uniform_(part.running_var, 0.5, 2)
    return net


def images(count: int = 40) -> Tensor:
    return torch.randn(count, 3, 8, 8, generator=torch.Generator().manual_seed(5))


def space_of(net: nn.Module) -> ChannelSpace:
    return ChannelSpace(net, [name for name, one in net.named_modules() if hasattr(one, "weight")], images())


def shuffled(y: Tensor, groups: int) -> Tensor:
    n, count, h, w = y.shape
    return y.view(n, groups, count // groups, h, w).transpose(1, 2).reshape(n, count, h, w)


def gated(m: Any, x: Tensor) -> Tensor:
    """Squeeze and excitation (Hu et al., CVPR 2018)."""
    y = m.first(x)
    gate = torch.sigmoid(m.excite(torch.relu(m.squeeze(y.mean((2, 3))))))
    return (y * gate[:, :, None, None]).flatten(1)


def dense_block(m: Any, x: Tensor) -> Tensor:
    """Layers that read all earlier ones (Huang et al., CVPR 2017), 2**20 paths."""
    y = m.first(x)
    for layer in m.layers:
        y = torch.cat([y, torch.relu(layer(y))], 1)
    return y.mean((2, 3))


PRUNED: dict[str, tuple[Any, ...]] = {
    "residual": (lambda m, x: torch.relu(m.first(x) + m.c(m.first(x))).flatten(1), 288),
    "depthwise": (
        lambda m, x: torch.relu(m.d(m.first(x))).flatten(1),
        288,
        lambda: {"d": nn.Conv2d(8, 8, 3, padding=1, groups=8, bias=False)},
    ),
    "depthwise, two outputs a channel": (
        lambda m, x: m.c(m.p(torch.relu(m.d(m.first(x))))).flatten(1),
        288,
        lambda: {"d": nn.Conv2d(8, 16, 3, padding=1, groups=8, bias=False), "p": nn.Conv2d(16, 8, 1)},
    ),
    "twice the same": (lambda m, x: torch.cat([m.first(x), m.first(x)], 1).flatten(1), 576),
    "adaptive pooling": (lambda m, x: F.adaptive_avg_pool2d(m.first(x), 2).flatten(1), 32),
    "flattened branches": (lambda m, x: torch.cat([m.first(x).flatten(1), m.second(x).flatten(1)], 1), 576),
    "branches, then flattened": (lambda m, x: torch.cat([m.second(x), m.first(x)], 1).flatten(1), 576),
    "pyramid": (
        lambda m, x: torch.cat([F.adaptive_max_pool2d(m.first(x), size).flatten(1) for size in (1, 2, 3)], 1),
        112,
    ),
    "pyramid, stacked": (
        lambda m, x: torch.cat([F.max_pool2d(m.first(x), size).flatten(2) for size in (2, 3)], 2).flatten(1),
        104,
    ),
    "batch normalisation of a concatenation": (
        lambda m, x: torch.relu(m.n(torch.cat([m.first(x), m.second(x)], 1))).flatten(1),
        576,
        lambda: {"n": nn.BatchNorm2d(16)},
    ),
    "channels last": (lambda m, x: m.first(x).permute(0, 2, 3, 1).flatten(1), 288),
    "positions first": (lambda m, x: m.first(x).flatten(2).transpose(1, 2).reshape(len(x), -1), 288),
    "linear layer at each position": (
        lambda m, x: m.l(m.first(x).permute(0, 2, 3, 1)).mean((1, 2)),
        8,
        lambda: {"l": nn.Linear(8, 8)},
    ),
    "reversed": (lambda m, x: m.first(x).flip(1).flatten(1), 288),
    "both signs": (lambda m, x: torch.cat([torch.relu(m.a(x)), torch.relu(-m.a(x))], 1).flatten(1), 576),
    "beside the inputs": (lambda m, x: torch.cat([x[:, :, 1:-1, 1:-1], m.first(x)], 1).flatten(1), 396),
    "beside a constant": (lambda m, x: torch.cat([torch.ones(len(x), 1, 6, 6), m.first(x)], 1).flatten(1), 324),
    "product": (lambda m, x: (m.first(x) * m.second(x)).flatten(1), 288),
    "squeeze and excitation": (gated, 288, lambda: {"squeeze": nn.Linear(8, 4), "excite": nn.Linear(4, 8)}),
    "one layer twice": (lambda m, x: torch.relu(m.c(torch.relu(m.c(m.first(x))))).flatten(1), 288),
    "expanded": (lambda m, x: m.first(x).mean((2, 3))[:, :, None].expand(-1, -1, 4).flatten(1), 32),
    "unfolded": (lambda m, x: F.unfold(m.first(x), 3, stride=3).flatten(1), 288),
    "pixels to channels": (lambda m, x: F.pixel_unshuffle(m.first(x), 2).flatten(1), 288),
    "resized": (lambda m, x: F.interpolate(m.first(x), scale_factor=2)[:, :, ::3, ::3].flatten(1), 128),
    "instance normalisation": (lambda m, x: F.instance_norm(m.first(x)).flatten(1), 288),
    "dense block": (
        dense_block,
        48,
        lambda: {"layers": nn.ModuleList(nn.Conv2d(8 + 2 * at, 2, 1) for at in range(20))},
    ),
}
"""What stands between the first convolutions and the linear layer with this number of inputs, and layers for it."""

WHOLE: dict[str, tuple[Any, ...]] = {
    "softmax": (lambda m, x: m.first(x).softmax(1).flatten(1), 288),
    "mean": (lambda m, x: (m.first(x) - m.first(x).mean(1, keepdim=True)).flatten(1), 288),
    "largest": (lambda m, x: (m.first(x) - m.first(x).amax(1, keepdim=True)).flatten(1), 288),
    "local response": (lambda m, x: F.local_response_norm(m.first(x), 3, alpha=1.0).flatten(1), 288),
    "local response, weak": (lambda m, x: F.local_response_norm(m.first(x), 5).flatten(1), 288),
    "layer normalisation": (lambda m, x: F.layer_norm(m.first(x), (8, 6, 6)).flatten(1), 288),
    "layer normalisation of any size": (
        lambda m, x: F.layer_norm(m.first(x), tuple(m.first(x).shape[1:])).flatten(1),
        288,
    ),
    "group normalisation": (lambda m, x: F.group_norm(m.first(x), 2).flatten(1), 288),
    "GroupNorm": (lambda m, x: m.g(m.first(x)).flatten(1), 288, lambda: {"g": nn.GroupNorm(2, 8)}),
    "unit length": (lambda m, x: F.normalize(m.first(x), dim=1).flatten(1), 288),
    "running sum": (lambda m, x: m.first(x).cumsum(1).flatten(1), 288),
    "sorted": (lambda m, x: m.first(x).sort(1).values.flatten(1), 288),
    "four largest": (lambda m, x: m.first(x).topk(4, 1).values.flatten(1), 144),
    "attention": (
        lambda m, x: F.scaled_dot_product_attention(*[m.first(x).flatten(2).transpose(1, 2)] * 3).flatten(1),
        288,
    ),
    "products of channels": (lambda m, x: (m.first(x).flatten(2) @ m.second(x).flatten(2).mT).flatten(1), 64),
    "einsum": (lambda m, x: torch.einsum("nchw,ndhw->ncd", m.first(x), m.second(x)).flatten(1), 64),
    "transposed convolution": (
        lambda m, x: m.t(m.first(x)).flatten(1),
        288,
        lambda: {"t": nn.ConvTranspose2d(8, 8, 3, padding=1)},
    ),
    "efficient attention to channels": (
        lambda m, x: (m.first(x) * torch.sigmoid(m.k(m.first(x).mean((2, 3))[:, None]))[:, 0, :, None, None]).flatten(
            1
        ),
        288,
        lambda: {"k": nn.Conv1d(1, 1, 3, padding=1)},
    ),
    "gated linear unit": (lambda m, x: F.glu(m.a(x), 1).flatten(1), 144),
    "one of two chunks": (lambda m, x: m.first(x).chunk(2, 1)[0].flatten(1), 144),
    "halves added": (lambda m, x: (m.first(x)[:, :4] + m.first(x)[:, 4:]).flatten(1), 144),
    "halves swapped": (lambda m, x: torch.cat([m.first(x)[:, 4:], m.first(x)[:, :4]], 1).flatten(1), 288),
    "every other": (lambda m, x: m.first(x)[:, ::2].flatten(1), 144),
    "rolled": (lambda m, x: m.first(x).roll(1, 1).flatten(1), 288),
    "interleaved": (lambda m, x: torch.cat([m.first(x)[:, ::2], m.first(x)[:, 1::2]], 1).flatten(1), 288),
    "shuffled and flattened": (lambda m, x: shuffled(m.first(x), 2).flatten(1), 288),
    "shuffled": (lambda m, x: torch.relu(m.c(shuffled(m.first(x), 4))).flatten(1), 288),
    "pixels from channels": (lambda m, x: F.pixel_shuffle(m.first(x), 2).flatten(1), 288),
    "maxout": (lambda m, x: m.first(x).view(len(x), -1, 2, 6, 6).amax(2).flatten(1), 144),
    "stacked": (lambda m, x: torch.stack([m.first(x), m.second(x)], 1).flatten(1), 576),
    "a scale for each channel": (
        lambda m, x: (m.s * m.first(x)).flatten(1),
        288,
        lambda: {"s": nn.Parameter(torch.rand(1, 8, 1, 1))},
    ),
    "added to the inputs": (lambda m, x: (m.first(x) + F.pad(x, (-1, -1, -1, -1, 0, 5))).flatten(1), 288),
    "weights used without their layer": (lambda m, x: F.conv2d(m.first(x), m.c.weight, padding=1).flatten(1), 288),
    "grouped convolution": (
        lambda m, x: torch.relu(m.g(m.first(x))).flatten(1),
        288,
        lambda: {"g": nn.Conv2d(8, 8, 3, padding=1, groups=2)},
    ),
}
"""Operations on `a` that mix its channels, or need all of them."""


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", PRUNED)
def test_channels_that_are_zero_change_nothing(name: str, seed: int) -> None:
    """Half of the channels of `a`, drawn at random, are zero in all layers that have them."""
    net = made(PRUNED[name], seed)
    group = next(one for one in space_of(net).groups if "a" in one.layers)
    zero = torch.randperm(8, generator=torch.Generator().manual_seed(seed))[:4]
    with torch.no_grad():
        for layer in map(net.get_submodule, group.layers):
            rows = zero if len(layer.weight) == 8 else torch.cat([2 * zero, 2 * zero + 1])
            layer.weight[rows] = 0
            if layer.bias is not None:
                layer.bias[rows] = 0
        if name.startswith("batch"):
            for value in (net.n.weight, net.n.bias, net.n.running_mean):
                value[zero] = 0
            net.n.weight[8:], net.n.running_mean[8:] = 1.5, 0.2
    space = space_of(net)
    small = space.remove(_without_recalibration(space, {group.name: 0.5}), {group.name: 0.5})
    assert len(small.a.weight) == 4
    kept = np.setdiff1d(np.arange(8), zero.numpy())
    assert torch.equal(small.a.weight, net.a.weight[kept])
    with torch.no_grad():
        expected, found = net(images()), small(images())
    assert torch.allclose(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))


def _without_recalibration(space: ChannelSpace, densities: dict[str, float]) -> nn.Module:
    """The pruned network with the batch normalisation and weights of the dense one, where nothing is pruned."""
    pruned = copy.deepcopy(space.module)
    with torch.no_grad():
        for name, mask in space.masks(space.module, densities).items():
            pruned.get_parameter(name).masked_fill_(~mask, 0)
    return pruned


@pytest.mark.parametrize("name", PRUNED)
def test_all_groups_at_once(name: str) -> None:
    """Every group loses another random number of channels; the masked network is the oracle."""
    space = space_of(made(PRUNED[name]))
    rng = np.random.default_rng(3)
    densities = {group.name: group.nearest(rng.uniform(0.2, 0.9)) for group in space.groups}
    masked = space.masked(densities, Random(seed=4))
    small = space.remove(masked, densities)
    with torch.no_grad():
        expected, found = masked(images()), small(images())
    assert torch.allclose(found, expected, rtol=0, atol=1e-5 * float(expected.abs().max()))
    assert sum(value.numel() for value in small.parameters()) < sum(value.numel() for value in masked.parameters())


@pytest.mark.parametrize("name", WHOLE)
def test_what_needs_all_channels_keeps_them(name: str) -> None:
    """`a` stays with a reason, and other layers can still be pruned."""
    forward, width, *added = WHOLE[name]
    net = made((lambda m, x: torch.relu(m.hidden(forward(m, x))), 6, lambda: _with_hidden(width, added)))
    space = space_of(net)
    assert not any("a" in group.layers for group in space.groups)
    assert space.whole["a"]
    assert any(group.layers == ("hidden",) for group in space.groups)
    small = space.remove(space.masked({"hidden": 0.5}), {"hidden": 0.5})
    assert small.out.weight.shape == (5, 3)


def _with_hidden(width: int, added: list[Any]) -> dict[str, Any]:
    return {**(added[0]() if added else {}), "hidden": nn.Linear(width, 6)}


REASONS = {
    "softmax": "an operation mixes them",
    "gated linear unit": "an operation combines several of them",
    "every other": "an operation treats some of them in another way than the others",
    "added to the inputs": "they meet the network's inputs",
    "grouped convolution": "the grouped convolution 'g', which is not depthwise, has them",
    "a scale for each channel": "the network fails without some of them (RuntimeError",
    "rolled": "the outputs differ by",
}


@pytest.mark.parametrize("name", REASONS)
def test_reasons(name: str) -> None:
    told = f"Net has no channels that can be removed: those of 'a' stay: {REASONS[name]}"
    with pytest.raises(ValueError, match=re.escape(told)):
        space_of(made(WHOLE[name]))


@pytest.mark.parametrize("dead", ["batch norm", "depthwise", "own weights"])
def test_dead_channels_hide_no_dependence(dead: str) -> None:
    """Weights that are zero, as where a residual branch starts, and what was pruned before."""
    torch.manual_seed(0)
    net = made(
        (
            lambda m, x: torch.relu(m.first(x) + m.n(m.d(m.c(m.first(x))))).flatten(1),
            288,
            lambda: {"d": nn.Conv2d(8, 8, 1, groups=8), "n": nn.BatchNorm2d(8)},
        )
    )
    with torch.no_grad():
        for value in {"batch norm": net.n, "depthwise": net.d, "own weights": net.a}[dead].parameters():
            value.zero_()
    space = space_of(net)
    assert [set(group.layers) for group in space.groups] == [{"a", "c", "d", "n"}]


class Counting(nn.Module):
    """Counts how often the network inside runs."""

    runs = 0

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        Counting.runs += 1
        return self.net(x)


def wide(m: Any, x: Tensor) -> Tensor:
    return torch.relu(m.second_layer(torch.relu(m.first_layer(x.flatten(1)))))


BOUNDED = {
    "shuffled and flattened": WHOLE["shuffled and flattened"],
    "instance normalisation": PRUNED["instance normalisation"],
    "products of channels": WHOLE["products of channels"],
    "dense block": PRUNED["dense block"],
    "wide": (wide, 3000, lambda: {"first_layer": nn.Linear(192, 4096), "second_layer": nn.Linear(4096, 3000)}),
}


@pytest.mark.parametrize("name", BOUNDED)
def test_few_runs(name: str) -> None:
    """Networks on which a walk through the graph of operations took minutes or did not end."""
    net = Counting(made(BOUNDED[name]))
    Counting.runs = 0
    checked_groups(net, read_groups(net, images(1)), images(1))
    assert Counting.runs < 400


def test_a_wrong_group_does_not_pass_the_checks() -> None:
    """The columns of `out` in another order, as if channels came last."""
    net = made(PRUNED["adaptive pooling"])
    graph = read_groups(net, images(1))
    assert checked_groups(net, graph, images(1)).whole.keys() == graph.whole.keys()
    graph.inputs["out"].channel[:] = graph.inputs["out"].channel.reshape(8, 4).T.flatten()
    checked = checked_groups(net, graph, images(1))
    assert checked.whole["a"].startswith("the outputs differ by")
    assert not checked.members(0)


def test_a_wrong_removal_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last check, of the network of a plan."""

    def wrong(module: nn.Module, graph: Any, sample: Tensor) -> Any:
        graph.inputs["out"].channel[:] = graph.inputs["out"].channel[::-1].copy()
        return graph

    monkeypatch.setattr(channels, "checked_groups", wrong)
    space = space_of(made(PRUNED["adaptive pooling"]))
    masked = space.masked({"a": 0.5})
    with pytest.raises(ValueError, match=r"Net changes where its pruned channels are removed: the outputs differ by"):
        space.remove(masked, {"a": 0.5})


def test_searches_warn_of_what_stays(recwarn: pytest.WarningsRecorder) -> None:
    net = made((lambda m, x: m.second(x).mean((2, 3)) + 0 * m.first(x).softmax(1).sum((1, 2, 3))[:, None], 8))
    labels = np.arange(40) % 5
    arrays = images().numpy()
    dataset = Dataset(name="data", train_inputs=arrays, train_labels=labels, test_inputs=arrays, test_labels=labels)
    setup = prepare(net, dataset, granularity="channels", cost="macs", geometries={}, seed=0, cache=None)
    told = [str(one.message) for one in recwarn]
    assert any(line.startswith("all channels of 'a'") for line in told)
    assert not any("'out'" in line for line in told)
    assert setup.space.whole["out"] == "they are the network's outputs"
