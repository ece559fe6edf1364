"""Reading the channels of large networks takes few runs, and ends at a limit."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from zeroskip.model.networks import mobilenet_v1
from zeroskip.model.search.spaces import channel_probing, work
from zeroskip.model.search.spaces.channel_checks import checked_groups
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.read_groups import read_groups


class Measured(nn.Module):
    """Counts the runs of the network inside, and the values of their inputs."""

    runs = 0
    values = 0

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        Measured.runs += 1
        Measured.values += x.numel()
        return self.net(x)


def test_few_runs_with_small_images() -> None:
    """13 blocks and the first layer make the 14 groups of MobileNet, whatever the size of the images."""
    net = Measured(mobilenet_v1(width=0.25, classes=10)).eval()
    sample = torch.rand(1, 3, 224, 224)
    Measured.runs = Measured.values = 0
    graph = read_groups(net, sample)
    assert len(graph.sizes) == 14
    assert list(graph.whole.values()) == ["they are the network's outputs"]
    assert Measured.runs <= 120
    # 3 rounds of 2 * 9 digits of a channel's number, and of 29 layers and inputs, with a quarter of the positions.
    assert Measured.values <= 3 * (2 * 9 + 29) * sample.numel()


class Softmax(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wide, self.hidden, self.out = nn.Linear(6, 3000), nn.Linear(3000, 8), nn.Linear(8, 3)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.hidden(self.wide(x).softmax(1)).relu())


def test_no_test_of_each_of_thousands_of_channels() -> None:
    net = Measured(Softmax()).eval()
    Measured.values = 0
    graph = read_groups(net, torch.rand(1, 6))
    assert Measured.values < 6 * 3000
    assert graph.whole["net.wide"] == "an operation mixes them"
    assert graph.sizes == (8,)


def test_what_is_not_read_within_the_limit_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    net, sample = Softmax().eval(), torch.rand(1, 6)
    needed: list[float] = []

    def spend(self: work.Allowance, amount: float) -> None:
        needed.append(amount)
        if len(needed) > 1:
            raise work.TooLong

    monkeypatch.setattr(channel_probing.Allowance, "spend", spend)
    graph = read_groups(net, sample)
    assert not graph.sizes
    assert graph.whole["hidden"] == "reading its channels would take too long"


def test_what_is_not_checked_within_the_limit_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    net, sample = Softmax().eval(), torch.rand(1, 6)
    graph = read_groups(net, sample)
    monkeypatch.setattr(work, "LIMIT", 1.0)
    checked = checked_groups(net, graph, sample)
    assert checked.whole["hidden"] == "reading its channels would take too long"
    assert not checked.members(0)
    with pytest.raises(ValueError, match="reading its channels would take too long"):
        read_groups(net, sample)


def test_a_threshold_that_only_larger_values_reach() -> None:
    """A gate by the mean over all channels, which is closed for the samples that are known."""

    class Gate(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.o = nn.Conv2d(3, 8, 3), nn.Linear(8, 5)

        def forward(self, x: Tensor) -> Tensor:
            y = self.a(x).relu()
            y = y * (1 + 10 * (y.mean((1, 2, 3), keepdim=True) > 1.0))
            return self.o(y.mean((2, 3)))

    torch.manual_seed(1)
    gate, samples = Gate().eval(), torch.randn(64, 3, 8, 8)
    with pytest.raises(ValueError, match=r"no channels that can be removed: those of 'a' stay"):
        ChannelSpace(gate, ["a", "o"], samples)
