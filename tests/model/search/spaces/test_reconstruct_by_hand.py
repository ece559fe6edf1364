"""The weights behind removed channels against numpy's least squares."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

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
