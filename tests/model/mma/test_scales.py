"""Networks whose inputs, weights or hidden activations a floating-point format of 16 bits does not hold."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.mma import bundle
from zeroskip.model.mma.core import CORE
from zeroskip.model.mma.geometry import mode_geometry
from zeroskip.model.mma.run_network import run
from zeroskip.model.mma.settings import MmaSettings
from zeroskip.model.network.container import BundleError, read

UNIT = {"fp16": 2.0**-11, "bf16": 2.0**-8, "tf32": 2.0**-11}


def mlp(weight: float, bias: float | None) -> nn.Sequential:
    torch.manual_seed(1)
    network = nn.Sequential(nn.Linear(12, 9, bias=bias is not None), nn.ReLU(), nn.Linear(9, 5, bias=bias is not None))
    with torch.no_grad():
        network[0].weight.mul_(weight)
        if bias is not None:
            network[0].bias.mul_(bias)
            network[2].bias.mul_(bias)
    return network.eval()


def samples(scale: float) -> np.ndarray:
    return (np.random.default_rng(2).uniform(-1, 1, (40, 12)) * scale).astype(np.float32)


def settings(dtype: str = "fp16") -> MmaSettings:
    return MmaSettings(geometry=mode_geometry(generation="A100", dtype=dtype, out="fp32"))


def expected(network: nn.Module, inputs: np.ndarray) -> np.ndarray:
    result = network.double()(torch.from_numpy(inputs).double()).detach().numpy()
    network.float()
    return result


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("weight", [1e-9, 1e-6, 1.0, 1e6])
@pytest.mark.parametrize("scale", [1e-20, 6e-8, 2e-5, 1.0, 1e5, 1e12])
@pytest.mark.parametrize("dtype", list(UNIT))
def test_nothing_is_lost_at_any_scale(dtype: str, scale: float, weight: float, with_bias: bool) -> None:
    network, inputs = mlp(weight, weight * scale if with_bias else None), samples(scale)
    compiled = CORE.compile(network, inputs, settings(dtype))
    wanted = expected(network, inputs)
    assert np.abs(CORE.outputs(compiled, inputs) - wanted).max() < 4 * UNIT[dtype] * np.abs(wanted).max()


def test_ordinary_networks_are_not_scaled() -> None:
    for scale in (1e-2, 1.0, 1e3):
        for dtype in UNIT:
            layers = CORE.compile(mlp(1.0, 1.0), samples(scale), settings(dtype)).layers
            assert [layer.sum_exponent for layer in layers] == [0, 0]


def test_scaling_by_a_power_of_two_changes_no_bit() -> None:
    """Where fp16 holds everything, a scaled network computes the same numbers."""
    network, inputs = mlp(1.0, 1.0), samples(1.0)
    plain = CORE.compile(network, inputs, settings())
    raised = mlp(1.0, 1.0)
    with torch.no_grad():
        for parameter in (raised[0].bias, raised[2].weight, raised[2].bias):
            parameter.mul_(2.0**20)
    raised[2].weight.data.mul_(2.0**-20)
    large = CORE.compile(raised, inputs * np.float32(2**20), settings())
    assert large.layers[0].input_exponent < 0
    assert np.array_equal(
        CORE.outputs(large, inputs * np.float32(2**20)), CORE.outputs(plain, inputs) * np.float32(2**20)
    )


def test_a_channel_of_a_much_smaller_range_is_kept() -> None:
    """1e-8 beside 1: fp16 holds both where the larger is near the top of its range."""
    network = nn.Linear(12, 3, bias=False)
    with torch.no_grad():
        network.weight[:, 5] *= 1e4
    inputs = samples(1.0)
    inputs[:, 5] *= 1e-8
    inputs[:, [0, 1, 2, 3, 4, 6, 7, 8, 9, 10, 11]] *= np.float32(1e-4)
    compiled = CORE.compile(network, inputs, settings())
    wanted = expected(network, inputs)
    assert np.abs(CORE.outputs(compiled, inputs) - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_zero_inputs_and_average_pooling() -> None:
    network = nn.Sequential(nn.Conv2d(1, 3, 3), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(12, 2)).eval()
    zeros = np.zeros((2, 1, 6, 6), np.float32)
    assert CORE.compile(network, zeros, settings()).layers[0].input_exponent == 0
    images = (np.random.default_rng(3).uniform(0, 1e-8, (8, 1, 6, 6))).astype(np.float32)
    with torch.no_grad():
        network[0].bias.mul_(1e-8)
        network[3].bias.mul_(1e-8)
    wanted = expected(network, images)
    found = CORE.outputs(CORE.compile(network, images, settings()), images)
    assert np.abs(found - wanted).max() < 2e-3 * np.abs(wanted).max()


def test_what_the_format_does_not_hold_is_counted_by_layer() -> None:
    module = nn.Sequential(nn.Linear(4, 4, bias=False), nn.Linear(4, 2, bias=False))
    with torch.no_grad():
        module[0].weight.copy_(torch.diag(torch.tensor([3e4, 1.0, 1.0, 1.0])))
        module[1].weight.fill_(1)
    # Compiled with ones: 3 * 3e4 is too large, and 1e-9 too small, for the scale that suits those.
    compiled = CORE.compile(module, np.ones((1, 4), np.float32), settings())
    first, second = run(compiled, np.float32([[3, 1, 1, 1e-9], [0, 1, 1, 1]])).losses
    assert (first.layer, first.values, first.to_zero, first.saturated) == (0, 7, 1, 0)
    assert (second.layer, second.values, second.to_zero, second.saturated) == (1, 6, 0, 1)


def test_a_file_keeps_the_exponents(tmp_path) -> None:
    inputs = samples(1e-9)
    network = CORE.compile(mlp(1e9, 1.0), inputs, settings())
    assert all(layer.input_exponent or layer.weight_exponent for layer in network.layers[:1])
    bundle.save(network, tmp_path / "small.zs")
    again = CORE.from_container(read(tmp_path / "small.zs"))
    assert again.layers == network.layers
    assert np.array_equal(CORE.outputs(again, inputs), CORE.outputs(network, inputs))
    wrong = dataclasses.replace(network.layers[0], input_exponent=1000)
    bundle.save(dataclasses.replace(network, layers=(wrong, *network.layers[1:])), tmp_path / "wrong.zs")
    with pytest.raises(BundleError, match=r"layers\[0\].input_exponent must be -192 to 192, not 1000"):
        CORE.from_container(read(tmp_path / "wrong.zs"))
