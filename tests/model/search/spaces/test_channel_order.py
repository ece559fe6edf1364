"""The order in which channels go: by what is lost after the fit, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.search.spaces import channel_order
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.refit import RIDGE


def network(hidden: int = 6) -> tuple[nn.Module, Tensor]:
    """A perceptron, of whose hidden channels some are nearly sums of others, and its inputs."""
    torch.manual_seed(1)
    module = nn.Sequential(nn.Linear(5, hidden), nn.ReLU(), nn.Linear(hidden, 3)).eval()
    with torch.no_grad():
        module[0].weight[1] = 3 * module[0].weight[0]
        module[0].bias[1] = 3 * module[0].bias[0]
    return module, torch.randn(200, 5)


def lost(x: NDArray[np.float64], weight: NDArray[np.float64], gone: list[int]) -> float:
    """What numpy's least squares cannot mend without the inputs `gone`, with the ridge on the change."""
    x = x / np.abs(x).max()
    kept = [channel for channel in range(x.shape[1]) if channel not in gone]
    ridge = RIDGE * np.diag(x.T @ x).mean()
    # Rows for the ridge: all weights, those that go included, cost what they change.
    wide = np.concatenate([x, np.sqrt(ridge) * np.eye(x.shape[1])])
    target = wide @ weight.T
    found = np.linalg.lstsq(wide[:, kept], target, rcond=None)[0]
    return float(((wide[:, kept] @ found - target) ** 2).sum())


def loss_without(module: nn.Module, inputs: Tensor, gone: list[int]) -> float:
    x = module[1](module[0](inputs)).detach().double().numpy()  # type: ignore[index]
    return lost(x, module[2].weight.detach().double().numpy(), gone)  # type: ignore[index]


def kept_by(space: ChannelSpace, count: int) -> list[int]:
    masks = space.masks(space.module, {"0": count / space.groups[0].total})
    return torch.nonzero(masks["0.weight"].any(1)).flatten().tolist()


def test_channels_go_by_what_is_lost_after_the_fit() -> None:
    """Each next channel is the one without which the least squares of numpy lose the least."""
    module, inputs = network()
    space = ChannelSpace(module, ["0", "2"], inputs)
    gone: list[int] = []
    for count in range(5, 0, -1):
        first = min(
            (channel for channel in range(6) if channel not in gone),
            key=lambda channel: loss_without(module, inputs, [*gone, channel]),
        )
        gone.append(first)
        assert kept_by(space, count) == [channel for channel in range(6) if channel not in gone]


def test_of_many_channels_several_go_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """One of each two: the three cheapest of six, then, by what the rest then costs, the next."""
    module, inputs = network()
    monkeypatch.setattr(channel_order, "TOGETHER", 2)
    space = ChannelSpace(module, ["0", "2"], inputs)
    gone = sorted(range(6), key=lambda channel: loss_without(module, inputs, [channel]))
    for count in (5, 4, 3):
        assert kept_by(space, count) == sorted(gone[6 - count :])
    first = min(gone[3:], key=lambda channel: loss_without(module, inputs, [*gone[:3], channel]))
    assert kept_by(space, 2) == [channel for channel in sorted(gone[3:]) if channel != first]


def test_it_is_another_order_than_that_of_magnitudes() -> None:
    """A channel that repeats another goes first, however large it is; with a criterion, or by_magnitude, or without the
    fit, it stays."""
    module, inputs = network()
    space = ChannelSpace(module, ["0", "2"], inputs)
    assert {0, 1} - set(kept_by(space, 5))
    largest = module[0].weight.detach().abs().sum(1).argsort(descending=True)[:5].sort().values.tolist()  # type: ignore[index]
    for other in (
        ChannelSpace(module, ["0", "2"], inputs, by_magnitude=True),
        ChannelSpace(module, ["0", "2"], inputs, refit=False),
    ):
        assert kept_by(other, 5) == largest


def test_of_networks_that_are_pruned_already_zeros_go_first() -> None:
    module, inputs = network()
    space = ChannelSpace(module, ["0", "2"], inputs)
    pruned = space.masked({"0": 4 / 6})
    live = torch.nonzero(pruned[0].weight.any(1)).flatten().tolist()  # type: ignore[index]
    assert len(live) == 4
    for count in (4, 3, 2):
        masks = space.masks(pruned, {"0": count / 6})
        assert set(torch.nonzero(masks["0.weight"].any(1)).flatten().tolist()) <= set(live)


@pytest.mark.parametrize("inputs", [torch.zeros(20, 5), torch.full((20, 5), torch.inf), torch.randn(0, 5)])
def test_magnitudes_decide_where_the_samples_say_nothing(inputs: Tensor) -> None:
    module, _ = network()
    with torch.no_grad():
        module[0].bias.fill_(-1)  # type: ignore[index]
    order = channel_order.ChannelOrder(module, ChannelSpace(module, ["0", "2"], torch.randn(9, 5)).graph, inputs)
    assert order.ranks(0) is None


def test_magnitudes_decide_where_a_layer_is_too_wide(monkeypatch: pytest.MonkeyPatch) -> None:
    module, inputs = network()
    monkeypatch.setattr(channel_order, "INPUTS", 5)
    space = ChannelSpace(module, ["0", "2"], inputs)
    assert kept_by(space, 5) == kept_by(ChannelSpace(module, ["0", "2"], inputs, by_magnitude=True), 5)


def test_convolutions_and_what_reads_a_flattened_map() -> None:
    """The first channel to go is that of brute force: a channel is read by nine weights of a convolution at all its
    positions, or by nine of a linear layer."""
    torch.manual_seed(0)
    module = nn.Sequential(
        nn.Conv2d(2, 6, 3), nn.ReLU(), nn.Conv2d(6, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(54, 4)
    ).eval()
    inputs = torch.randn(120, 2, 7, 7)
    space = ChannelSpace(module, ["0", "2", "5"], inputs)
    between = module[:2](inputs).detach()
    read = {
        "0": (F.unfold(between, 3).transpose(1, 2).reshape(-1, 54), module[2].weight.detach().reshape(6, 54)),
        "2": (module[:5](inputs).detach(), module[5].weight.detach()),
    }
    for name, (x, weight) in read.items():
        losses = [lost(x.double().numpy(), weight.double().numpy(), [*range(9 * at, 9 * at + 9)]) for at in range(6)]
        masks = space.masks(space.module, {name: 5 / 6})
        stays = masks[f"{name}.weight"].flatten(1).any(1)
        assert torch.nonzero(~stays).flatten().tolist() == [int(np.argmin(losses))]
