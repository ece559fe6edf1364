"""Layers whose codebook is trained: the outputs are those of the shared layer, and a centroid's gradient is the sum of
those of its weights and biases."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.eie.shared import SharedConv, SharedLayer
from zeroskip.model.pruning.centroids import trainable_network, with_trained_codebooks


def shared(bias: bool, exponent: int, conv: bool) -> SharedLayer:
    rng = np.random.default_rng(3)
    codebook = rng.normal(size=16).astype(np.float32)
    codebook[0] = 0
    codes = rng.integers(0, 16, (4, 19)).astype(np.uint8)
    fields = {
        "codebook": codebook,
        "weight_codes": codes[:, :18].copy(),
        "bias_codes": codes[:, 18].copy() if bias else None,
        "relu": False,
        "bias_exponent": exponent,
    }
    if not conv:
        return SharedLayer(**fields)
    return SharedConv(**fields, kernel=(3, 3), stride=(2, 1), padding=(1, 0), groups=2)


@pytest.mark.parametrize("conv", [False, True])
@pytest.mark.parametrize(("bias", "exponent"), [(False, 0), (True, 0), (True, -3), (True, 5)])
def test_outputs_and_gradients(bias: bool, exponent: int, conv: bool) -> None:
    layer = shared(bias, exponent, conv)
    network, plain = trainable_network([layer]), layer.module()
    inputs = torch.randn(5, *((4, 6, 5) if conv else (18,)), generator=torch.Generator().manual_seed(0))
    outputs, expected = network[0](inputs), plain(inputs)
    torch.testing.assert_close(outputs, expected)
    slope = torch.randn(outputs.shape, generator=torch.Generator().manual_seed(1))
    outputs.backward(slope)
    expected.backward(slope)
    assert isinstance(plain, nn.Linear | nn.Conv2d)
    assert plain.weight.grad is not None
    wanted = np.zeros(16)
    np.add.at(wanted, layer.weight_codes, plain.weight.grad.flatten(1).numpy())
    if layer.bias_codes is not None:
        assert plain.bias is not None
        assert plain.bias.grad is not None
        np.add.at(wanted, layer.bias_codes, plain.bias.grad.numpy() * 2.0**exponent)
    (centroids,) = network.parameters()
    np.testing.assert_allclose(centroids.grad.numpy(), wanted[1:], rtol=1e-4, atol=1e-4)


def test_trained_codebooks_come_back_with_all_else() -> None:
    layer = shared(True, -3, True)
    network = trainable_network([layer])
    with torch.no_grad():
        network[0].centroids.mul_(2)
    (again,) = with_trained_codebooks([layer], network)
    assert isinstance(again, SharedConv)
    assert np.array_equal(again.codebook, 2 * layer.codebook)
    assert np.array_equal(again.weight_codes, layer.weight_codes)
    assert (again.bias_exponent, again.kernel, again.groups) == (-3, (3, 3), 2)
