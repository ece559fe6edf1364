"""Sparse convolutions equal torch's dense ones in float64, forward and backward, on random small scenes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import torch
from support.voxels import (
    DENSE,
    DENSE_TRANSPOSED,
    by_pairs,
    dense_weight,
    gather,
    scatter,
    scene,
)
from torch import Tensor

from zeroskip.model.sparseconv.functional import conv
from zeroskip.model.sparseconv.kernel import kernel_elements
from zeroskip.model.sparseconv.tensor import SparseTensor

CLOSE = {"rtol": 1e-5, "atol": 1e-5}


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Layers as small as these are faster so."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@dataclass
class Case:
    """A random layer and scene."""

    size: list[int]
    stride: list[int]
    dilation: list[int]
    padding: list[int]
    least: int
    extents: list[int]
    coords: Tensor
    feats: Tensor
    weight: Tensor
    generator: torch.Generator


def case(seed: int, strides: tuple[int, ...] = (1, 2, 3), least: int | None = None) -> Case:
    choose = random.Random(seed)
    generator = torch.Generator().manual_seed(seed)
    ndim = choose.choice([1, 2, 3, 3])
    size = [choose.randint(1, 5 if ndim < 3 else 4) for _ in range(ndim)]
    if choose.random() < 0.3:
        size = [choose.randint(1, 5)] * ndim
    stride = [choose.choice(strides)] * ndim
    dilation = [choose.randint(1, 3)] * ndim
    extents = [choose.randint(1, 9) for _ in range(ndim)]
    low = choose.choice([0, 0, -4]) if least is None else least
    # Batch 1 is empty.
    coords = scene(generator, choose.choice([[0], [0, 2], [0, 2, 3]]), extents, choose.choice([0.05, 0.3, 1.0]), low)
    channels, out_channels = choose.randint(1, 3), choose.randint(1, 3)
    draw = lambda *shape: torch.randn(*shape, generator=generator, dtype=torch.float64)  # noqa: E731
    return Case(
        size=size,
        stride=stride,
        dilation=dilation,
        padding=[choose.randint(0, 2) for _ in range(ndim)],
        least=low,
        extents=extents,
        coords=coords,
        feats=draw(len(coords), channels).requires_grad_(),
        weight=draw(len(kernel_elements(size)), channels, out_channels).requires_grad_(),
        generator=generator,
    )


def require_equal(actual: Tensor, expected: Tensor, of: Case) -> None:
    """Values and the gradients of features and weights are close."""
    torch.testing.assert_close(actual, expected, **CLOSE)
    expected = expected + 0 * (of.feats.sum() + of.weight.sum())
    factors = torch.randn(actual.shape, generator=of.generator, dtype=torch.float64)
    inputs = (of.feats, of.weight)
    gradients = torch.autograd.grad((actual * factors).sum(), inputs, allow_unused=True, materialize_grads=True)
    wanted = torch.autograd.grad((expected * factors).sum(), inputs, allow_unused=True, materialize_grads=True)
    for gradient, other in zip(gradients, wanted, strict=True):
        torch.testing.assert_close(gradient, other, **CLOSE)


def dense_strided(of: Case) -> tuple[Tensor, Tensor, list[int]]:
    """Torch's convolution over the box of the scene, the mask of outputs that see a voxel, and the least output.

    The box starts at a multiple of the stride at or below the least coordinates, and its outputs below the true start
    are cut off.
    """
    spatial = of.coords[:, 1:]
    low = [min(int(entry), 0) for entry in spatial.min(0).values]
    high = [int(entry) for entry in spatial.max(0).values]
    least = [step * (start // step) for start, step in zip(low, of.stride, strict=True)]
    extents = [end - start + 1 for start, end in zip(least, high, strict=True)]
    arguments = {"stride": of.stride, "dilation": of.dilation}

    def padded(dense: Tensor) -> Tensor:
        widths = [width for pad in reversed(of.padding) for width in (pad, pad)]
        reach = [(length - 1) * step + 1 for length, step in zip(of.size, of.dilation, strict=True)]
        result = torch.nn.functional.pad(dense, widths)
        fits = all(have >= need for have, need in zip(result.shape[2:], reach, strict=True))
        return result if fits else result[..., :0]

    dense = padded(scatter(of.feats, of.coords, extents, least))
    seen = padded(scatter(torch.ones(len(of.coords), 1, dtype=torch.float64), of.coords, extents, least))
    if 0 in dense.shape:
        nothing = torch.zeros(1, of.weight.shape[2], *[0] * len(of.size), dtype=torch.float64)
        return nothing, nothing[:, 0].bool(), least
    values = DENSE[len(of.size)](dense, dense_weight(of.weight, of.size), **arguments)
    mask = DENSE[len(of.size)](seen, torch.ones(1, 1, *of.size, dtype=torch.float64), **arguments)[:, 0] > 0
    for axis, (start, step) in enumerate(zip(low, of.stride, strict=True)):
        if start % step:
            mask[(slice(None),) * (axis + 1) + (0,)] = False
    return values, mask, [start // step for start, step in zip(least, of.stride, strict=True)]


@pytest.mark.parametrize("seed", range(100))
def test_submanifold(seed: int) -> None:
    of = case(seed, strides=(1,))
    before = [(length - 1) // 2 * step for length, step in zip(of.size, of.dilation, strict=True)]
    after = [length // 2 * step for length, step in zip(of.size, of.dilation, strict=True)]
    least = [of.least] * len(of.size)
    widths = [width for pair in zip(reversed(before), reversed(after), strict=True) for width in pair]
    dense = torch.nn.functional.pad(scatter(of.feats, of.coords, of.extents, least), widths)
    values = DENSE[len(of.size)](dense, dense_weight(of.weight, of.size), dilation=of.dilation)
    result = conv(SparseTensor(of.feats, of.coords), of.weight, of.size, dilation=of.dilation)
    assert result.coords is of.coords
    require_equal(result.feats, gather(values, of.coords, least), of)


@pytest.mark.parametrize("seed", range(150))
def test_strided_as_dense(seed: int) -> None:
    of = case(1000 + seed)
    if of.size == of.stride and not any(of.padding):
        of.padding = [1] * len(of.size)
    values, mask, least = dense_strided(of)
    result = conv(
        SparseTensor(of.feats, of.coords), of.weight, of.size, None, of.stride, of.padding, of.dilation,
        convention="spconv", submanifold=False,
    )  # fmt: skip
    expected = torch.nonzero(mask) + torch.tensor([0, *least])
    assert result.coords.tolist() == expected.tolist()
    assert result.stride == tuple(of.stride)
    require_equal(result.feats, gather(values, expected, least), of)


@pytest.mark.parametrize("seed", range(50))
def test_strided_as_dense_within_a_spatial_range(seed: int) -> None:
    of = case(2000 + seed, strides=(2, 3), least=0)
    batches = int(of.coords[:, 0].max()) + 1
    tensor = SparseTensor(of.feats, of.coords, spatial_range=(batches, *of.extents))
    result = conv(tensor, of.weight, of.size, None, of.stride, of.padding, of.dilation)
    room = [
        (extent + 2 * pad - step * (length - 1) - 1) // stride + 1
        for extent, pad, step, length, stride in zip(
            of.extents, of.padding, of.dilation, of.size, of.stride, strict=True
        )
    ]
    assert result.spatial_range == (batches, *(max(extent, 0) for extent in room))
    if min(room) <= 0:
        assert len(result) == 0
        return
    dense = scatter(of.feats, of.coords, of.extents, [0] * len(of.size))
    values = DENSE[len(of.size)](dense, dense_weight(of.weight, of.size), None, of.stride, of.padding, of.dilation)
    require_equal(result.dense().movedim(-1, 1), values, of)


@pytest.mark.parametrize("seed", range(50))
def test_strided_at_floored_coordinates(seed: int) -> None:
    of = case(3000 + seed)
    first = [-(length // 2) * step if length % 2 else 0 for length, step in zip(of.size, of.dilation, strict=True)]
    expected = sorted(
        {(row[0], *(at // by for at, by in zip(row[1:], of.stride, strict=True))) for row in of.coords.tolist()}
    )
    result = conv(
        SparseTensor(of.feats, of.coords), of.weight, of.size, None, of.stride, 0, of.dilation,
        convention="minkowski", submanifold=False,
    )  # fmt: skip
    assert result.coords.tolist() == [list(row) for row in expected]
    wanted = by_pairs(of.feats, of.coords, result.coords, of.weight, of.size, of.stride, of.dilation, first)
    require_equal(result.feats, wanted, of)


@pytest.mark.parametrize("convention", ["spconv", "minkowski"])
@pytest.mark.parametrize("seed", range(40))
def test_transposed_undoes_a_strided_layer(seed: int, convention: str) -> None:
    """It is the transposed of the matrix of the strided layer: the gradient of one is the other."""
    of = case(4000 + seed, strides=(2, 3))
    fine = SparseTensor(of.feats, of.coords)
    padding = of.padding if convention == "spconv" else 0
    layer = (of.size, None, of.stride, padding, of.dilation)
    coarse = conv(fine, of.weight, *layer, convention=convention)
    weight = torch.randn(len(of.weight), 2, 3, generator=of.generator, dtype=torch.float64)
    values = torch.randn(len(coarse), 2, generator=of.generator, dtype=torch.float64)
    result = conv(coarse.with_feats(values), weight, *layer, transposed=True, convention=convention)
    assert result.coords is fine.coords
    assert result.stride == (1,) * len(of.size)
    probe = torch.zeros(len(fine), 3, dtype=torch.float64, requires_grad=True)
    strided = conv(fine.with_feats(probe), weight.transpose(1, 2), *layer, convention=convention)
    (expected,) = torch.autograd.grad(strided.feats, probe, values)
    torch.testing.assert_close(result.feats, expected, **CLOSE)


@pytest.mark.parametrize("seed", range(60))
def test_generative_as_dense_transposed(seed: int) -> None:
    of = case(5000 + seed, least=0)
    reach = [(length - 1) * step for length, step in zip(of.size, of.dilation, strict=True)]
    of.padding = [min(pad, end // 2) for pad, end in zip(of.padding, reach, strict=True)]
    high = [int(entry) + 1 for entry in of.coords[:, 1:].max(0).values]
    dense = scatter(of.feats, of.coords, high, [0] * len(of.size))
    function = DENSE_TRANSPOSED[len(of.size)]
    weight = dense_weight(of.weight, of.size).transpose(0, 1)
    arguments = (None, of.stride, of.padding, 0, 1, of.dilation)
    values = function(dense, weight, *arguments)
    seen = scatter(torch.ones(len(of.coords), 1, dtype=torch.float64), of.coords, high, [0] * len(of.size))
    mask = function(seen, torch.ones(1, 1, *of.size, dtype=torch.float64), *arguments)[:, 0] > 0
    result = conv(
        SparseTensor(of.feats, of.coords, stride=of.stride), of.weight, of.size, None, of.stride, of.padding,
        of.dilation, transposed=True, generative=True, convention="spconv", submanifold=False,
    )  # fmt: skip
    assert result.coords.tolist() == torch.nonzero(mask).tolist()
    assert result.stride == (1,) * len(of.size)
    require_equal(result.feats, gather(values, result.coords, [0] * len(of.size)), of)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [[2, 2, 2, 2], [3, 3, 3, 3], [1, 3, 2, 1]])
def test_four_axes(size: list[int], stride: int) -> None:
    generator = torch.Generator().manual_seed(5)
    coords = scene(generator, [0, 2], [3, 4, 3, 3], 0.3)
    feats = torch.randn(len(coords), 2, generator=generator, dtype=torch.float64)
    weight = torch.randn(len(kernel_elements(size)), 2, 3, generator=generator, dtype=torch.float64)
    result = conv(SparseTensor(feats, coords), weight, size, stride=stride, convention="minkowski")
    first = [-(length // 2) if length % 2 else 0 for length in size]
    if stride == 1:
        first = [-((length - 1) // 2) for length in size]
    wanted = by_pairs(feats, coords, result.coords, weight, size, [stride] * 4, [1] * 4, first)
    torch.testing.assert_close(result.feats, wanted, **CLOSE)


@pytest.mark.parametrize("transposed", [False, True])
@pytest.mark.parametrize("stride", [1, 2])
def test_gradients_of_gradients(stride: int, transposed: bool) -> None:
    generator = torch.Generator().manual_seed(3)
    coords = scene(generator, [0, 2], [3, 2, 2], 0.3)
    fine = SparseTensor(torch.randn(len(coords), 2, generator=generator, dtype=torch.float64), coords)
    weight = torch.randn(27, 2, 2, generator=generator, dtype=torch.float64, requires_grad=True)
    coarse = conv(fine, weight, 3, stride=stride, padding=1)
    source = coarse.with_feats(coarse.feats.detach()) if transposed else fine
    feats = source.feats.clone().requires_grad_()

    def layer(values: Tensor, kernel: Tensor) -> Tensor:
        return conv(source.with_feats(values), kernel, 3, stride=stride, padding=1, transposed=transposed).feats

    assert torch.autograd.gradcheck(layer, (feats, weight))
    assert torch.autograd.gradgradcheck(layer, (feats, weight))
