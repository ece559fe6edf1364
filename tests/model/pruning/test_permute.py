import re

import pytest
import torch
from support.graphs import images, network
from torch import Tensor, nn

from zeroskip.model.network.pattern import Pattern
from zeroskip.model.networks import lenet_5
from zeroskip.model.pruning.nm import nm_mask
from zeroskip.model.pruning.permute import permute


def lively(module: nn.Module) -> nn.Module:
    """A network with different batch statistics for each channel."""
    torch.manual_seed(0)
    for name, buffer in module.named_buffers():
        if "running" in name:
            buffer.uniform_(0.5, 2)
    for parameter in module.parameters():
        nn.init.normal_(parameter)
    return module.eval().double()


def kept(weight: Tensor) -> float:
    return float(weight.detach().abs()[nm_mask(weight, Pattern())].sum())


def perceptron() -> nn.Module:
    return lively(
        nn.Sequential(
            nn.Flatten(),
            nn.Linear(12, 20),
            nn.BatchNorm1d(20),
            nn.ReLU(),
            nn.BatchNorm1d(20, affine=False),
            nn.Dropout(),
            nn.Linear(20, 10, bias=False),
            nn.Linear(10, 3),
        )
    )


def convolutions() -> nn.Module:
    return lively(
        nn.Sequential(
            nn.Conv2d(3, 8, 3),
            nn.BatchNorm2d(8),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(8, 8, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(8, 6, 3),
            nn.Flatten(),
            nn.Linear(6, 9),
            nn.ReLU(),
            nn.Linear(9, 2),
        )
    )


@pytest.mark.parametrize(
    ("module", "shape", "layers"),
    [(perceptron(), (12,), ["6", "7"]), (convolutions(), (3, 8, 8), ["4", "6", "8", "10"])],
    ids=["perceptron", "convolutions"],
)
def test_network_computes_the_same_and_keeps_more(module: nn.Module, shape: tuple[int, ...], layers: list[str]) -> None:
    """The outputs, the kept magnitude of each layer compared with its report, and the unchanged original."""
    before = {name: tensor.clone() for name, tensor in module.state_dict().items()}
    inputs = torch.randn(5, *shape, dtype=torch.float64)
    permuted, reports = permute(module, Pattern(), seed=0, proposals=3000)
    torch.testing.assert_close(permuted(inputs), module(inputs), rtol=1e-9, atol=1e-9)
    assert [report.name for report in reports if report.permutation is not None] == layers
    assert reports[0].reason == "its inputs are the network's own"
    for report in reports[1:]:
        assert report.permutation is not None
        old, new = (some.get_parameter(f"{report.name}.weight") for some in (module, permuted))
        assert not torch.equal(old, new)
        assert kept(new) == pytest.approx(report.permutation.after)
        assert kept(new) > kept(old) == pytest.approx(report.permutation.before)
    assert list(permuted.state_dict()) == list(before)
    assert all(torch.equal(tensor, before[name]) for name, tensor in module.state_dict().items())


def test_flattened_channels_stay() -> None:
    _, reports = permute(lenet_5(), Pattern(), seed=0, proposals=100)
    assert [(report.name, report.reason) for report in reports] == [
        ("0", "its inputs are the network's own"),
        ("3", ""),
        ("7", "16 of its inputs are one channel, flattened"),
        ("9", ""),
    ]


def test_grouped_convolutions_stay() -> None:
    module = lively(nn.Sequential(nn.Conv2d(4, 8, 1), nn.Conv2d(8, 8, 3, groups=2), nn.Conv2d(8, 8, 1)))
    permuted, reports = permute(module, Pattern(), seed=0, proposals=100)
    reasons = [
        "its inputs are the network's own",
        "it is a grouped convolution",
        "its inputs come from a grouped convolution",
    ]
    assert [report.reason for report in reports] == reasons
    assert all(torch.equal(a, b) for a, b in zip(module.parameters(), permuted.parameters(), strict=True))


def test_weights_in_two_places_are_refused() -> None:
    layer = nn.Linear(8, 8)
    message = "layer '0' uses the weights of layer '0' again; a permutation needs weights that only one layer uses"
    with pytest.raises(ValueError, match=f"^{re.escape(message)}$"):
        permute(nn.Sequential(layer, nn.ReLU(), layer), Pattern(), seed=0)
    module = nn.Sequential(layer, nn.ReLU(), nn.Linear(8, 8))
    module[2].weight = layer.weight
    with pytest.raises(ValueError, match=r"^layer '2' uses the weights of layer '0' again"):
        permute(module, Pattern(), seed=0)


def test_branches_are_refused() -> None:
    """The channels of values that are added have one order, which no layer may change alone."""
    message = (
        r"^layer 'narrow' does not read the step before it alone; channels are permuted in a plain chain .*graphs.py"
    )
    with pytest.raises(ValueError, match=message):
        permute(network("downsampling shortcut"), Pattern(), seed=0, samples=images())


def test_weights_that_are_not_finite_are_refused() -> None:
    module = nn.Sequential(nn.Linear(8, 8), nn.Linear(8, 2))
    nn.init.constant_(module[1].weight, float("inf"))
    with pytest.raises(ValueError, match=r"^layer '1': weight must be finite"):
        permute(module, Pattern(), seed=0)
