"""The weights behind removed channels against numpy's least squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.pruning.criteria import l1
from zeroskip.model.search.layers import patches_of
from zeroskip.model.search.spaces.channels import ChannelSpace

RIDGE = 1e-3


def refitted(rows: np.ndarray, weight: np.ndarray, stays: np.ndarray) -> np.ndarray:
    """The weights (outputs x inputs) that give the outputs of `weight` from the inputs that stay, with a small penalty
    on their change, relative to the mean square of an input."""
    kept, gone = rows[:, stays], rows[:, ~stays]
    ridge = RIDGE * (kept**2).sum(0).mean()
    system = np.concatenate((kept, np.sqrt(ridge) * np.eye(kept.shape[1])))
    wanted = np.concatenate((gone @ weight[:, ~stays].T, np.zeros((kept.shape[1], len(weight)))))
    full = np.zeros_like(weight)
    full[:, stays] = weight[:, stays] + np.linalg.lstsq(system, wanted, rcond=None)[0].T
    return full


def test_linear_layers() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4)).eval()
    # More samples than one batch of 256.
    inputs = torch.randn(300, 6)
    pruned = ChannelSpace(module, ["0", "2"], inputs).masked({"0": 0.6})
    stays = pruned[0].weight.detach().abs().sum(1).numpy() > 0
    assert stays.sum() == 6
    with torch.no_grad():
        rows = module[:2](inputs).double().numpy()
    expected = refitted(rows, module[2].weight.detach().double().numpy(), stays)
    np.testing.assert_allclose(pruned[2].weight.detach().numpy(), expected, atol=2e-5)
    assert torch.equal(pruned[2].bias, module[2].bias)


@pytest.mark.parametrize("size", [5, 6])
def test_convolutions(size: int) -> None:
    """With up to ten positions all are taken, with more ten at random of each batch of images."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Conv2d(2, 8, 1), nn.ReLU(), nn.Conv2d(8, 3, 3), nn.Flatten()).eval()
    inputs = torch.randn(300, 2, size, size)
    pruned = ChannelSpace(module, ["0", "2"], inputs).masked({"0": 0.5})
    stays = pruned[0].weight.detach().abs().sum((1, 2, 3)).numpy() > 0
    assert stays.sum() == 4
    generator = torch.Generator().manual_seed(0)
    rows = []
    for batch in inputs.split(256):
        with torch.no_grad():
            patches = patches_of(module[2], module[:2](batch))
        chosen = torch.randperm((size - 2) ** 2, generator=generator)[:10]
        rows.append(patches[:, :, chosen].transpose(1, 2).flatten(0, 1).double().numpy())
    weight = module[2].weight.detach().double().flatten(1).numpy()
    expected = refitted(np.concatenate(rows), weight, np.repeat(stays, 9))
    np.testing.assert_allclose(pruned[2].weight.detach().flatten(1).numpy(), expected, atol=2e-5)


def test_channels_that_come_back_take_the_correction_back() -> None:
    """A network whose channels all come back is the dense one. If some do, what the others had been given for them is
    taken away again: by numpy's least squares."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 4)).eval()
    inputs = torch.randn(300, 6)
    space = ChannelSpace(module, ["0", "2"], inputs)
    few, some = {"0": 0.3}, {"0": 0.6}
    pruned = space.masked(few)
    whole = space.restored(pruned, few, {"0": 1.0}, l1)
    for name, value in module.state_dict().items():
        torch.testing.assert_close(whole.state_dict()[name], value)
    restored = space.restored(pruned, few, some, l1)
    stays, now = (one[0].weight.detach().abs().sum(1).numpy() > 0 for one in (pruned, space.masked(some)))
    # Those that come back are the strongest, so these are the channels of the plan that was never smaller.
    assert torch.equal(restored[0].weight, space.masked(some)[0].weight)
    with torch.no_grad():
        rows = module[:2](inputs).double().numpy()
    weight = module[2].weight.detach().double().numpy()
    only_back = np.where(now & ~stays, weight, 0)
    expected = pruned[2].weight.detach().double().numpy() + only_back
    expected[:, stays] -= refitted(rows, only_back, stays)[:, stays]
    np.testing.assert_allclose(restored[2].weight.detach().numpy(), expected, atol=2e-5)
    assert not np.allclose(expected[:, stays], weight[:, stays], atol=0.01), "four channels are still missing"


def test_nothing_comes_back_where_nothing_was_asked_for() -> None:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(6, 10), nn.ReLU(), nn.Linear(10, 8), nn.ReLU(), nn.Linear(8, 4)).eval()
    space = ChannelSpace(module, ["0", "2", "4"], torch.randn(300, 6))
    pruned = space.masked({"0": 0.5, "2": 0.5})
    same = space.restored(pruned, {"0": 0.5, "2": 0.5}, {"0": 0.2, "2": 0.5}, l1)
    assert all(torch.equal(value, same.state_dict()[name]) for name, value in pruned.state_dict().items())
    one = space.restored(pruned, {"0": 0.5, "2": 0.5}, {"0": 0.2, "2": 0.75}, l1)
    assert torch.equal(one[0].weight, pruned[0].weight)
    assert int((one[2].weight.abs().sum(1) > 0).sum()) == 6
