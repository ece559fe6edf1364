"""Networks whose inputs, weights or hidden activations are very small or very large."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from zeroskip.model.eie import bundle
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.core import CORE
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.settings import EieSettings
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.container import BundleError, read
from zeroskip.model.network.fold import fold

SETTINGS = EieSettings(geometry=EieGeometry(pes=4), fit=MEMORIES)


def mlp(weight: float, bias: float | None) -> nn.Sequential:
    """Each layer has few enough values to share them exactly: weights of the magnitude `weight`, biases of `bias`."""
    generator = torch.Generator().manual_seed(1)
    network = nn.Sequential(nn.Linear(12, 9, bias=bias is not None), nn.ReLU(), nn.Linear(9, 5, bias=bias is not None))
    with torch.no_grad():
        for layer, scale in ((network[0], weight), (network[2], 1.0)):
            layer.weight.copy_(torch.randint(-3, 4, layer.weight.shape, generator=generator) / 3 * scale)
            if bias is not None:
                layer.bias.copy_(torch.randint(-3, 4, layer.bias.shape, generator=generator) / 3 * bias)
    return network.double().eval()


def samples(scale: float) -> np.ndarray:
    return (np.random.default_rng(2).uniform(-1, 1, (40, 12)) * scale).astype(np.float32)


def compiled(network: nn.Module, inputs: np.ndarray) -> EieNetwork:
    return CORE.compile(network.float(), inputs, SETTINGS)


def worst(network: nn.Sequential, inputs: np.ndarray) -> float:
    """The largest error of the golden model, as a fraction of the largest output of torch in double precision."""
    expected = network.double()(torch.from_numpy(inputs).double()).detach().numpy()
    found = CORE.outputs(compiled(network, inputs), inputs)
    return float(np.abs(found - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("with_bias", [False, True])
@pytest.mark.parametrize("weight", [1e-9, 2e-5, 1.0, 1e5])
@pytest.mark.parametrize("scale", [1e-30, 1e-12, 2e-5, 1e-3, 1.0, 1e3, 1e6, 1e12])
def test_nothing_is_lost_at_any_scale(scale: float, weight: float, with_bias: bool) -> None:
    # 16 bits of the inputs, the weights and the hidden layer; a small hidden layer beside 14 fraction bits has eight.
    assert worst(mlp(weight, weight * scale if with_bias else None), samples(scale)) < 2e-3


@pytest.mark.parametrize("bias", [1e-3, 1.0, 1e3, 1e6])
def test_biases_of_another_size_than_the_weights_do_not_take_their_bits(bias: float) -> None:
    # As large as the products, for inputs of this size.
    assert worst(mlp(1e-3, bias), samples(bias * 1e3)) < 2e-3


@pytest.mark.parametrize("scale", [1e-35, 1e-9, 2e-5, 1e-3, 1e5, 1e9])
def test_ordinary_biases_beside_inputs_of_any_scale(scale: float) -> None:
    """The outputs are as large as the biases, or as the products; neither may cost the other its bits."""
    assert worst(mlp(1.0, 0.3), samples(scale)) < 2e-3


def test_weights_or_biases_that_are_all_zero() -> None:
    for scale in (1e-30, 2e-5, 1.0, 1e6):
        for zeroed in ("weight", "bias"):
            network = mlp(1.0, scale)
            getattr(network[0], zeroed).data.zero_()
            assert worst(network, samples(scale)) < 2e-3


def test_ordinary_activations_keep_the_constant_one_and_at_most_14_fraction_bits() -> None:
    for scale in (0.1, 1.0, 100.0):
        for bias in (None, 0.5):
            layers = compiled(mlp(1.0, bias), samples(scale)).layers
            assert [layer.bias_exponent for layer in layers] == [0, 0]
            assert all(0 <= layer.input_fraction <= 14 for layer in layers)


def test_zeros_and_constants_may_have_any_scale() -> None:
    network = mlp(1.0, 0.5)
    zeros = np.zeros((3, 12), np.float32)
    assert compiled(network, zeros).layers[0].input_fraction == 14
    for value in (0.0, 3e-6, 7e5):
        inputs = np.full((3, 12), value, np.float32)
        expected = network.double()(torch.from_numpy(inputs).double()).detach().numpy()
        assert CORE.outputs(compiled(network, inputs), inputs) == pytest.approx(expected, rel=3e-3, abs=1e-3)


def test_convolutions_and_average_pooling() -> None:
    generator = torch.Generator().manual_seed(3)
    network = nn.Sequential(
        nn.Conv2d(2, 4, 3, padding=1), nn.ReLU(), nn.AvgPool2d(2), nn.Flatten(), nn.Linear(36, 3)
    ).double()
    with torch.no_grad():
        for layer, bias in ((network[0], 2e-5), (network[4], 1e-4)):
            layer.weight.copy_(torch.randint(-3, 4, layer.weight.shape, generator=generator) / 3)
            layer.bias.copy_(torch.randint(-3, 4, layer.bias.shape, generator=generator) / 3 * bias)
    images = (np.random.default_rng(4).uniform(0, 2e-5, (30, 2, 6, 6))).astype(np.float32)
    expected = network(torch.from_numpy(images).double()).detach().numpy()
    found = CORE.outputs(compiled(network, images), images)
    assert np.abs(found - expected).max() < 2e-3 * np.abs(expected).max()


def test_a_file_keeps_the_exponent_of_the_bias(tmp_path) -> None:
    inputs = samples(2e-5)
    network = compiled(mlp(1.0, 2e-5), inputs)
    assert all(layer.bias_exponent < 0 for layer in network.layers)
    bundle.save(network, tmp_path / "small.zs")
    again = CORE.from_container(read(tmp_path / "small.zs"))
    assert again.layers == network.layers
    assert np.array_equal(CORE.outputs(again, inputs), CORE.outputs(network, inputs))


def test_a_file_whose_bias_column_no_activation_holds_is_refused(tmp_path) -> None:
    import dataclasses

    network = compiled(mlp(1.0, 2e-5), samples(2e-5))
    layer = network.layers[0]
    wrong = dataclasses.replace(layer, bias_exponent=15 - layer.input_fraction)
    bundle.save(dataclasses.replace(network, layers=(wrong, *network.layers[1:])), tmp_path / "wrong.zs")
    with pytest.raises(BundleError, match=r"layers\[0\].input_fraction must be .* where the layer has a bias of exp"):
        CORE.from_container(read(tmp_path / "wrong.zs"))


def test_the_bias_of_shared_layers_is_that_of_the_network() -> None:
    network = fold(mlp(1.0, 2e-5))
    for layer, linear in zip(share_layers(network, inputs=samples(2e-5)), (network[0], network[2]), strict=True):
        assert layer.bias_exponent != 0
        assert layer.bias == pytest.approx(linear.bias.detach().numpy(), rel=1e-6)
        assert np.array_equal(layer.bias_codes == 0, linear.bias.detach().numpy() == 0)
        assert layer.module().bias.detach().numpy() == pytest.approx(layer.bias)
