"""The safety net: a step that is read wrongly is found by comparing it with torch, and the first such step is named."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network import fold as fold_module
from zeroskip.model.network import graph as graph_module
from zeroskip.model.network import same as same_module
from zeroskip.model.network.fold import fold
from zeroskip.model.network.reading import layers as layers_module
from zeroskip.model.network.steps import NetworkStep


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.bn = nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3)
        self.conv2, self.pool = nn.Conv2d(3, 4, 3, padding=1), nn.AvgPool2d(2)
        self.fc = nn.Linear(36, 3)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.bn(self.conv1(x)))
        x = self.pool(F.relu(self.conv2(x)))
        return self.fc(torch.flatten(x, 1))


IMAGES = torch.randn(5, 2, 8, 8, generator=torch.Generator().manual_seed(3))


def test_the_first_layer_that_is_read_wrongly_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the compiler did not know padding."""
    monkeypatch.setattr(layers_module, "_conv_padding", lambda label, module, dilation: (0, 0))
    line = Net.forward.__code__.co_firstlineno + 2
    message = rf"^layer 'conv2' gives something else in torch than what would be compiled .*line {line}\)$"
    with pytest.raises(ValueError, match=message):
        fold(Net(), IMAGES)


def test_a_step_that_is_left_out_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the compiler took a layer of the user's for one that does nothing."""

    class Negative(nn.Identity):
        def forward(self, input: Tensor) -> Tensor:
            return -input

    module = Net()
    module.pool = nn.Sequential(module.pool, Negative())
    monkeypatch.setattr(layers_module, "is_plain", lambda module, *kinds: isinstance(module, kinds))
    monkeypatch.setattr(
        "zeroskip.model.network.trace.torch_class",
        lambda module: None if type(module) in (Net, nn.Sequential) else type(module),
    )
    with pytest.raises(
        ValueError, match=r"^operation 'flatten' gives something else in torch than what would be compil"
    ):
        fold(module, IMAGES)


def test_a_wrong_fold_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if folding forgot the biases."""
    made = fold_module._Layer.module

    def without_bias(self: Any) -> Any:
        self.bias = None
        return made(self)

    monkeypatch.setattr(fold_module._Layer, "module", without_bias)
    with pytest.raises(
        ValueError, match=r"^the folded network gives something else than Net in torch \(by \d+\.\d+% of"
    ):
        fold(Net(), IMAGES)


def test_a_network_that_mixes_samples_is_refused() -> None:
    class Mixing(Net):
        def forward(self, x: Tensor) -> Tensor:
            return super().forward(x.flip(0))

    with pytest.raises(ValueError, match="operation 'flip' mixes the values of different samples"):
        fold(Mixing(), IMAGES)


def test_rounding_is_no_difference() -> None:
    """A batch normalisation that takes a large mean away leaves little but rounding errors of float32."""
    torch.manual_seed(4)
    module = Net()
    with torch.no_grad():
        module.conv1.bias.fill_(3e4)
        module.bn.running_mean.copy_(module.conv1(IMAGES).mean((0, 2, 3)))
        module.bn.running_var.fill_(1e-2)
    fold(module, IMAGES)


def test_every_step_says_what_torch_gave() -> None:
    module = Net().eval()
    steps: list[NetworkStep] = graph_module.read_steps(module, IMAGES)
    assert [step.label for step in steps[:3]] == ["layer 'conv1'", "layer 'bn'", "operation 'relu'"]
    torch.testing.assert_close(steps[1].output, module.bn(module.conv1(IMAGES[:3])))


class Counting(Net):
    def __init__(self, changes: Callable[[Tensor], bool]) -> None:
        super().__init__()
        self.changes = changes

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(-x if self.changes(x) else x)


@pytest.mark.parametrize(
    ("changes", "size"),
    [
        (lambda x: x.shape[0] > 32, 33),
        (lambda x: x.size(0) == 64, 64),
        (lambda x: x.shape == (50, 2, 8, 8), 50),
        (lambda x: x.size()[0] % 7 == 0, 7),
        (lambda x: len(x) > 20, 21),
        (lambda x: len(x) > 64, 1_000),
        (lambda x: len(x) == 50, 50),
        (lambda x: x.numel() == 40 * 128, 40),
        (lambda x: int(x.shape[0]) == 64, 64),
        (lambda x: x.shape[0] in {1}, 1),
        (lambda x: divmod(x.shape[0], 7)[1] == 0, 7),
    ],
)
def test_decisions_by_the_number_of_samples_are_refused(changes: Callable[[Tensor], bool], size: int) -> None:
    """It is the same for the few samples at which it is traced."""
    message = f"^Counting gives something else for {size:,} samples than for 3; a compiled network does the same"
    with pytest.raises(ValueError, match=message):
        fold(Counting(changes), IMAGES)


def test_a_comparison_with_more_samples_than_can_be_tried_is_refused() -> None:
    message = r"^Counting compares the number of samples with 9,000, which is too many to check \(at most 1,000\)"
    with pytest.raises(ValueError, match=message):
        fold(Counting(lambda x: x.shape[0] > 9_000), IMAGES)


def test_comparisons_that_change_nothing_are_taken() -> None:
    def guard(x: Tensor) -> bool:
        assert x.shape[0] >= 1
        assert x.shape[0] <= 512 or x.dim() == 4
        return x.shape[1:] != (2, 8, 8) or x.view(x.size(0), -1).shape[0] != x.size(dim=0)

    fold(Counting(guard), IMAGES)


@pytest.mark.parametrize(("most", "size"), [(lambda x: x.shape[0] > 8, 9), (lambda x: len(x) > 900, 1_000)])
def test_a_network_that_fails_for_more_samples_is_refused_with_the_reason(
    most: Callable[[Tensor], bool], size: int
) -> None:
    class Few(Net):
        def forward(self, x: Tensor) -> Tensor:
            if most(x):
                raise RuntimeError("too many images")
            return super().forward(x)

    with pytest.raises(ValueError, match=rf"^Few fails for {size:,} samples \(RuntimeError: too many images\)"):
        fold(Few(), IMAGES)


def test_a_network_that_torch_cannot_run_is_refused() -> None:
    """Not by the shape of the samples, which the folded network takes: a dropout that takes no images."""
    net = nn.Sequential(nn.Conv2d(2, 3, 3), nn.Dropout1d(), nn.Flatten(), nn.Linear(108, 3))
    with pytest.raises(ValueError, match=r"^Sequential does not take samples of shape .* dropout1d: Expected 2D or 3D"):
        fold(net, IMAGES)


@pytest.mark.parametrize(
    ("found", "wanted", "close"),
    [
        ([float("inf"), 1.0, 2.0], [float("inf"), 1.0, 2.0], True),
        ([float("inf"), 5.0, 9.0], [float("inf"), 1.0, 2.0], False),
        ([float("-inf"), 1.0], [float("inf"), 1.0], False),
        ([float("nan"), 1.0], [float("nan"), 1.0], True),
        ([1.0, 1.0], [float("nan"), 1.0], False),
    ],
)
def test_values_beside_infinity_are_compared(found: list[float], wanted: list[float], close: bool) -> None:
    assert same_module._close(torch.tensor(found), torch.tensor(wanted)) == close


def test_nothing_of_the_tracing_stays_in_the_network() -> None:
    """forward() may keep its values, in the network and in parts of it."""

    class Keeping(Net):
        def __init__(self) -> None:
            super().__init__()
            self.last = None
            self.register_buffer("seen", torch.zeros(1))

        def forward(self, x: Tensor) -> Tensor:
            self.last = x
            self.fc.mean = x.mean()
            self.seen = x
            return super().forward(x)

    network = Keeping()
    fold(network, IMAGES)
    # Tensors of torch's own runs, which pickle takes, and no proxies of tensors.
    assert [type(kept) for kept in (network.last, network.fc.mean, network.seen)] == [Tensor] * 3
    pickle.dumps((network.last, network.fc.mean, network.state_dict()))
