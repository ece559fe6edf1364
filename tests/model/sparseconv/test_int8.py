"""Sparse convolution in int8: the arithmetic against Python's exact fractions, layers against dense ones of torch."""

from __future__ import annotations

from fractions import Fraction

import pytest
import torch
from support.voxels import dense_weight, gather, scatter, scene
from torch import Tensor, nn

from zeroskip.model.network.pattern import DENSE, Pattern
from zeroskip.model.sparseconv import nn as spnn
from zeroskip.model.sparseconv.int8 import Requantisation, prune_kernel, to_int8
from zeroskip.model.sparseconv.int8_layers import QuantisedConv
from zeroskip.model.sparseconv.int8_network import quantise
from zeroskip.model.sparseconv.tensor import SparseTensor

TWO_FOUR = Pattern()


@pytest.mark.parametrize(
    ("multiplier", "shift", "relu"),
    [(1, 0, False), (1, 1, False), (1, 7, True), (3, 4, False), (2**31 - 1, 62, False), (2**31 - 1, 38, True)],
)
def test_requantisation_is_exact(multiplier: int, shift: int, relu: bool) -> None:
    """Python's `round` of a Fraction rounds half to even."""
    random = torch.Generator().manual_seed(shift)
    ends = torch.tensor([-(2**31), 2**31 - 1, 0, 1, -1])
    near = torch.arange(-300, 300)
    sums = torch.cat([ends, near, torch.randint(-(2**31), 2**31, (500,), generator=random)]).to(torch.int32)
    made = Requantisation(multiplier=multiplier, shift=shift, relu=relu).apply(sums)
    exact = [round(Fraction(value * multiplier, 2**shift)) for value in sums.tolist()]
    assert made.dtype is torch.int8
    assert made.tolist() == [min(max(value, 0 if relu else -128), 127) for value in exact]


@pytest.mark.parametrize("scale", [2.0**-31, 3e-9, 0.0123, 1 - 2.0**-40, 1.0, 77.7, 2.0**31 - 1])
def test_a_scale_becomes_the_nearest_multiplier(scale: float) -> None:
    made = Requantisation.of_scale(scale)
    assert abs(Fraction(made.multiplier, 2**made.shift) / Fraction(scale) - 1) <= Fraction(1, 2**30)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"multiplier": 0, "shift": 1}, "multiplier must be an integer from 1 to 2147483647, not 0"),
        ({"multiplier": 2**31, "shift": 1}, "multiplier must be an integer from 1 to 2147483647, not 2147483648"),
        ({"multiplier": 1.0, "shift": 1}, "multiplier must be an integer from 1 to 2147483647, not 1.0"),
        ({"multiplier": 1, "shift": 63}, "shift must be an integer from 0 to 62, not 63"),
        ({"multiplier": 1, "shift": 1, "relu": 1}, "relu must be True or False, not 1"),
    ],
)
def test_wrong_requantisations_are_refused(fields: dict[str, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Requantisation(**fields)  # type: ignore[arg-type]


@pytest.mark.parametrize("scale", [2.0**-32, 2.0**31, float("nan"), float("inf"), -1.0])
def test_scales_that_do_not_fit_are_refused(scale: float) -> None:
    with pytest.raises(ValueError, match="scale must be from"):
        Requantisation.of_scale(scale)


def test_requantisation_takes_int32_alone() -> None:
    with pytest.raises(TypeError, match=r"sums must be int32, not torch\.int64"):
        Requantisation(multiplier=1, shift=0).apply(torch.zeros(3, dtype=torch.int64))


def test_values_round_half_to_even() -> None:
    values = torch.tensor([0.25, 0.75, 1.25, -0.25, -0.75, 64.0, -64.0])
    assert to_int8(values, 0.5).tolist() == [0, 2, 2, 0, -2, 127, -127]
    with pytest.raises(ValueError, match="values must be finite"):
        to_int8(torch.tensor([1.0, float("nan")]), 1.0)


def test_pruning_keeps_the_largest_two_of_four() -> None:
    kernel = torch.tensor([[4.0, -1], [-3, 2], [2, -5], [1, 4], [9, 1], [8, 2], [7, 3]])[None]
    kept = torch.tensor([[4.0, 0], [-3, 0], [0, -5], [0, 4], [9, 0], [8, 2], [0, 3]])[None]
    assert torch.equal(prune_kernel(kernel, TWO_FOUR), kept)
    assert torch.equal(prune_kernel(kernel, DENSE), kernel)


def layer(kernel: Tensor, bias: Tensor, *, step: int = 1, padding: int = 1, **options: object) -> QuantisedConv:
    return QuantisedConv(
        kernel,
        bias,
        Requantisation(multiplier=3, shift=9, relu=True),
        kernel_size=(3, 3, 3),
        stride=(step,) * 3,
        padding=(padding,) * 3,
        dilation=(1, 1, 1),
        **options,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize("step", [1, 2])
def test_a_layer_equals_a_dense_one(step: int) -> None:
    """Against torch's dense convolution in float64, which is exact for sums of this size."""
    random = torch.Generator().manual_seed(step)
    coords = scene(random, [0, 1], [6, 5, 7])
    feats = torch.randint(-128, 128, (len(coords), 6), generator=random, dtype=torch.int8)
    kernel = torch.randint(-128, 128, (27, 6, 5), generator=random, dtype=torch.int8)
    bias = torch.randint(-5000, 5000, (5,), generator=random, dtype=torch.int32)
    made = layer(kernel, bias, step=step)
    sums = made.sums(SparseTensor(feats, coords, spatial_range=(2, 6, 5, 7)))
    dense = torch.conv3d(
        scatter(feats.double(), coords, [6, 5, 7], [0, 0, 0]),
        dense_weight(kernel.double(), [3, 3, 3]),
        bias.double(),
        stride=step,
        padding=1,
    )
    expected = gather(dense, sums.coords, [0, 0, 0])
    assert sums.feats.dtype is torch.int32
    assert torch.equal(sums.feats.double(), expected)
    result = made(SparseTensor(feats, coords, spatial_range=(2, 6, 5, 7)))
    # 3 / 512 has no ties among these sums that float64 does not show.
    assert torch.equal(result.feats.double(), (expected * 3 / 512).round().clamp(0, 127))


def test_sums_wrap() -> None:
    kernel = torch.full((27, 1, 2), 127, dtype=torch.int8)
    made = layer(kernel, torch.tensor([2**31 - 1, -(2**31)], dtype=torch.int32))
    one = SparseTensor(torch.tensor([[1]], dtype=torch.int8), torch.tensor([[0, 4, 4, 4]], dtype=torch.int32))
    assert made.sums(one).feats.tolist() == [[-(2**31) + 126, -(2**31) + 127]]


def test_wrong_layers_are_refused() -> None:
    kernel, bias = torch.ones(27, 4, 2, dtype=torch.int8), torch.zeros(2, dtype=torch.int32)
    with pytest.raises(ValueError, match="kernel must be int8 of"):
        layer(kernel.float(), bias)
    with pytest.raises(ValueError, match="bias must be int32 of"):
        layer(kernel, bias[:1])
    with pytest.raises(ValueError, match="kernel must keep at most 2:4 along its input channels: prune it first"):
        layer(torch.where(torch.arange(4)[:, None] == 2, 0, kernel), bias, pattern=TWO_FOUR)
    with pytest.raises(TypeError, match=r"feats must be int8, not torch\.float32"):
        layer(kernel, bias)(SparseTensor(torch.ones(1, 4), torch.zeros(1, 4, dtype=torch.int32)))


def float_network() -> nn.Sequential:
    torch.manual_seed(3)
    network = nn.Sequential(
        spnn.Conv3d(4, 8, 3, bias=True),
        spnn.BatchNorm(8),
        spnn.ReLU(),
        spnn.Conv3d(8, 8, 3, stride=2, padding=1),
        spnn.ReLU(),
        spnn.Conv3d(8, 6, 1),
    ).eval()
    network[1].running_mean.uniform_(-0.1, 0.1)
    network[1].running_var.uniform_(0.5, 2)
    nn.init.uniform_(network[1].weight, 0.5, 2)
    nn.init.uniform_(network[1].bias, -0.2, 0.2)
    return network


def cloud() -> SparseTensor:
    random = torch.Generator().manual_seed(7)
    coords = scene(random, [0, 2], [7, 7, 7])
    return SparseTensor(torch.randn(len(coords), 4, generator=random), coords)


def test_a_quantised_network_stays_near_the_float_one() -> None:
    """A bound on the error, not on the bits: within a few steps of the outputs' scale."""
    network, x = float_network(), cloud()
    made = quantise(network, x)
    quantised, exact = made(made.quantise_input(x)), network(x)
    assert torch.equal(quantised.coords, exact.coords)
    error = quantised.feats * made.out_scale - exact.feats.detach()
    assert error.abs().max() < 6 * made.out_scale


@pytest.mark.parametrize("mode", ["spconv", "minkowski"])
def test_the_downsample_mode_is_that_of_the_float_layer(mode: str) -> None:
    """With "minkowski" the padding has no effect."""
    x = cloud()
    network = nn.Sequential(spnn.Conv3d(4, 4, 3, stride=2, padding=2, config={"downsample_mode": mode}))
    made = quantise(network, x)
    assert torch.equal(made(made.quantise_input(x)).coords, network(x).coords)


@pytest.mark.parametrize("wrong", [float("nan"), float("inf")])
def test_values_that_are_not_finite_are_refused(wrong: float) -> None:
    x = cloud()
    x.feats[3, 1] = wrong
    with pytest.raises(ValueError, match="values must be finite to become int8"):
        quantise(float_network(), x)
    network = float_network()
    network[3].kernel.data[2, 1, 0] = wrong
    with pytest.raises(ValueError, match="values must be finite to become int8"):
        quantise(network, cloud())


def test_a_pruned_network_follows_the_pattern() -> None:
    made = quantise(float_network(), cloud(), pattern=TWO_FOUR)
    for one in made:
        groups = one.kernel.unflatten(1, (-1, 4))
        assert int((groups != 0).sum(2).max()) == 2


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (nn.Sequential(), "network must have a convolution"),
        (nn.Sequential(spnn.ReLU()), "not ReLU at '0'"),
        (nn.Sequential(spnn.Conv3d(4, 4, 3), spnn.ReLU(), spnn.BatchNorm(4)), "not BatchNorm at '2'"),
        (nn.Sequential(spnn.Conv3d(4, 4, 3), spnn.LeakyReLU()), "not LeakyReLU at '1'"),
        (
            nn.Sequential(spnn.Conv3d(4, 4, 2, stride=2), spnn.Conv3d(4, 4, 2, stride=2, transposed=True)),
            "layer '1': transposed must be False",
        ),
    ],
)
def test_networks_that_have_no_int8_form_are_refused(network: nn.Sequential, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        quantise(network, cloud())
