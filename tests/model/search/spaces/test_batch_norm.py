from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from zeroskip.model.pruning.criteria import l1
from zeroskip.model.search.spaces.batch_norm import BATCH, recalibrate_batch_norm
from zeroskip.model.search.spaces.channels import ChannelSpace
from zeroskip.model.search.spaces.space import LayerSpace


def network() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.Dropout(0.5), nn.Flatten(), nn.Linear(16, 6), nn.BatchNorm1d(6)
    )


def test_means_and_variances_of_what_comes_in() -> None:
    module, samples = network().eval(), torch.randn(200, 2, 4, 4)
    module[1].train()
    before = copy.deepcopy(module)
    recalibrate_batch_norm(module, samples)
    with torch.no_grad():
        first = before[0](samples)
        assert torch.allclose(module[1].running_mean, first.mean((0, 2, 3)), atol=1e-5)
        assert torch.allclose(module[1].running_var, first.var((0, 2, 3)), rtol=1e-4)
        # After the first normalisation in train mode, and without dropout.
        second = module[4](nn.functional.batch_norm(first, None, None, training=True).flatten(1))
        assert torch.allclose(module[5].running_mean, second.mean(0), atol=1e-5)
        assert torch.allclose(module[5].running_var, second.var(0), rtol=1e-4)


def test_nothing_else_is_changed() -> None:
    module = network().eval()
    module[1].train()
    before = copy.deepcopy(module)
    recalibrate_batch_norm(module, torch.randn(200, 2, 4, 4))
    for one, other in zip(module.parameters(), before.parameters(), strict=True):
        assert torch.equal(one, other)
    assert [part.training for part in module.modules()] == [part.training for part in before.modules()]
    assert module[1].momentum == 0.1


@pytest.mark.parametrize("samples", [2 * BATCH + 2, BATCH + 1, BATCH - 1, 2])
def test_no_batch_is_small(samples: int) -> None:
    """The means and variances of batches are averaged, so a batch of two must not count as much as one of 256."""
    module, inputs = network(), torch.randn(samples, 2, 4, 4)
    recalibrate_batch_norm(module, inputs)
    used = inputs if samples < BATCH else inputs[: samples // BATCH * BATCH]
    with torch.no_grad():
        variances = torch.stack([module[0](some).var((0, 2, 3)) for some in used.split(BATCH)])
    assert torch.allclose(module[1].running_var, variances.mean(0), rtol=1e-4)
    assert module[1].running_var.std() > 0


def test_a_channel_that_comes_back_has_the_variance_of_the_dense_network() -> None:
    """A pruned channel has the variance 0 after recalibration, by which it would be divided."""
    module, samples = network().eval(), torch.randn(200, 2, 4, 4)
    recalibrate_batch_norm(module, samples)
    space = ChannelSpace(nn.Sequential(*module[:2], nn.ReLU(), *module[3:5]), ["0", "4"], samples)
    pruned = space.masked({"0": 0.5})
    gone = pruned[1].running_var == 0
    assert 0 < int(gone.sum()) < 4
    back = space.restored(pruned, {"0": 0.5}, {"0": 1.0}, l1)
    assert torch.equal(back[1].running_var[gone], space.module[1].running_var[gone])
    assert torch.equal(back[1].running_mean[gone], space.module[1].running_mean[gone])
    assert torch.equal(back[1].running_var[~gone], pruned[1].running_var[~gone])
    # All is there again, and what the fit gave the others in its place is taken back.
    torch.testing.assert_close(back(samples), space.module(samples), rtol=0, atol=0.05)


@pytest.mark.parametrize("samples", [1, 0])
def test_a_single_sample_has_no_variance(samples: int) -> None:
    module, before = network(), network()
    recalibrate_batch_norm(module, torch.randn(samples, 2, 4, 4))
    assert torch.equal(module[5].running_var, before[5].running_var)


def test_nothing_is_left_changed_where_forward_fails() -> None:
    module = network()
    with pytest.raises(RuntimeError):
        recalibrate_batch_norm(module, torch.randn(20, 2, 5, 5))
    assert (module[1].momentum, module[1].training) == (0.1, True)


def test_a_pruned_network_is_normalised_anew() -> None:
    samples = torch.randn(200, 2, 4, 4)
    module = network().eval()
    recalibrate_batch_norm(module, samples)
    space = LayerSpace(module, "weights", ["0", "4"], samples)
    dense, pruned = space.masked({}), space.masked({"0": 0.3})
    assert torch.equal(dense[1].running_var, module[1].running_var)
    with torch.no_grad():
        assert torch.allclose(pruned[1].running_var, pruned[0](samples).var((0, 2, 3)), rtol=1e-4)
    assert not torch.allclose(pruned[1].running_var, module[1].running_var, rtol=0.1)
