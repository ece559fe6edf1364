"""Pooling equals torch's dense pooling, where absent voxels are never the largest and count in no mean."""

from __future__ import annotations

import random

import pytest
import torch
from support.voxels import gather, scatter, scene
from torch import Tensor

from zeroskip.model.sparseconv import nn as spnn
from zeroskip.model.sparseconv.pooling import avg_pool, global_avg_pool, global_max_pool, max_pool
from zeroskip.model.sparseconv.tensor import SparseTensor

MAX_POOL = {1: torch.nn.functional.max_pool1d, 2: torch.nn.functional.max_pool2d, 3: torch.nn.functional.max_pool3d}


def windows(dense: Tensor, size: list[int], stride: list[int], padding: list[int], dilation: list[int]) -> Tensor:
    """Sums over windows, by a convolution with ones, channel by channel."""
    conv = {1: torch.conv1d, 2: torch.conv2d, 3: torch.conv3d}[len(size)]
    ones = torch.ones(1, 1, *size, dtype=dense.dtype)
    flat = dense.flatten(0, 1)[:, None]
    return conv(flat, ones, None, stride, padding, dilation).unflatten(0, dense.shape[:2])[:, :, 0]


@pytest.mark.parametrize("seed", range(120))
def test_as_dense(seed: int) -> None:
    draw = random.Random(seed)
    axes = draw.choice([1, 2, 3])
    size = [draw.randint(1, 4) for _ in range(axes)]
    stride = [draw.randint(1, 3) for _ in range(axes)]
    dilation = [draw.randint(1, 2) for _ in range(axes)]
    padding = [draw.randint(0, length // 2) for length in size]
    # At least one window fits.
    extents = [draw.randint(3, 6) + (length - 1) * step for length, step in zip(size, dilation, strict=True)]
    generator = torch.Generator().manual_seed(seed)
    coords = scene(generator, [0, 2], extents, 0.3)
    # Whole numbers: many are equal, and the gradient goes to the first in the window.
    feats = torch.randint(-3, 4, (len(coords), 3), generator=generator).double().requires_grad_()
    x = SparseTensor(feats, coords, 1, (3, *extents))
    dense = scatter(feats, coords, extents, [0] * axes)
    present = scatter(torch.ones(len(coords), 3).double(), coords, extents, [0] * axes)
    lowest = dense.masked_fill(present == 0, -float("inf"))
    counts = windows(present, size, stride, padding, dilation)
    outputs = torch.nonzero(counts[:, 0])

    highest = max_pool(x, size, stride, padding, dilation)
    assert torch.equal(highest.coords, outputs.int())
    assert highest.stride == tuple(stride)
    wanted = gather(MAX_POOL[axes](lowest, size, stride, padding, dilation), highest.coords, [0] * axes)
    assert torch.equal(highest.feats, wanted)
    mean = avg_pool(x, size, stride, padding, dilation)
    sums = windows(dense, size, stride, padding, dilation)
    wanted_mean = gather(sums, mean.coords, [0] * axes) / gather(counts, mean.coords, [0] * axes)
    torch.testing.assert_close(mean.feats, wanted_mean)

    weight = torch.randn(wanted.shape, generator=generator, dtype=torch.float64)
    for result, reference in ((highest.feats, wanted), (mean.feats, wanted_mean)):
        (found,) = torch.autograd.grad((result * weight).sum(), feats, retain_graph=True)
        (known,) = torch.autograd.grad((reference * weight).sum(), feats, retain_graph=True)
        torch.testing.assert_close(found, known)


def test_gradients_of_gradients() -> None:
    coords = scene(torch.Generator().manual_seed(1), [0], [4, 4], 0.6)

    def pooled(feats: Tensor) -> Tensor:
        x = SparseTensor(feats.sin(), coords)
        return max_pool(x, 2).feats + avg_pool(x, 2).feats

    feats = torch.randn(len(coords), 2, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradgradcheck(pooled, (feats,))


def test_layers_pool() -> None:
    coords = torch.tensor([[0, 0, 0, 0], [0, 1, 1, 1], [0, 2, 0, 0], [1, 1, 0, 0]])
    x = SparseTensor(torch.tensor([[1.0], [-4.0], [5.0], [7.0]]), coords)
    assert spnn.MaxPool3d(2)(x).coords.tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [1, 0, 0, 0]]
    assert spnn.MaxPool3d(2)(x).feats.tolist() == [[1], [5], [7]]
    assert spnn.AvgPool3d(2)(x).feats.tolist() == [[-1.5], [5], [7]]
    assert spnn.MaxPool3d(3, 1, submanifold=True)(x).coords is x.coords
    assert spnn.MaxPool3d(3, 1, submanifold=True)(x).feats.tolist() == [[1], [5], [5], [7]]
    with pytest.raises(ValueError, match="needs a tensor with 2 axes"):
        spnn.AvgPool2d(2)(x)


def test_an_output_that_sees_nothing_is_zero() -> None:
    x = SparseTensor(torch.tensor([[-3.0], [4.0]]), torch.tensor([[0, 1], [0, 2]]))
    assert max_pool(x, 1, 2, convention="minkowski").feats.tolist() == [[0], [4]]
    assert avg_pool(x, 1, 2, convention="minkowski").feats.tolist() == [[0], [4]]


def test_a_nan_is_not_lost() -> None:
    x = SparseTensor(torch.tensor([[1.0], [float("nan")], [2.0]]), torch.tensor([[0, 0], [0, 1], [0, 2]]))
    assert max_pool(x, 3).feats.isnan().all()


def test_global_pooling() -> None:
    """Batch 1 is empty, in the middle, and batch 3 at the end."""
    coords = torch.tensor([[2, 0, 0, 0], [0, 1, 0, 0], [2, 3, 0, 0]])
    feats = torch.tensor([[1.0, -1.0], [-2.0, -2.0], [3.0, -5.0]], requires_grad=True)
    x = SparseTensor(feats, coords)
    assert spnn.GlobalMaxPool()(x).tolist() == [[-2, -2], [0, 0], [3, -1]]
    assert spnn.GlobalAvgPool()(x).tolist() == [[-2, -2], [0, 0], [2, -3]]
    assert len(global_avg_pool(SparseTensor(feats, coords, 1, (4, 5, 5, 5)))) == 4
    global_max_pool(x).sum().backward()
    assert feats.grad is not None
    assert feats.grad.tolist() == [[0, 1], [1, 1], [1, 0]]
    nothing = SparseTensor(torch.zeros(0, 2), torch.zeros(0, 4, dtype=torch.int32))
    assert global_avg_pool(nothing).shape == (0, 2)
    assert max_pool(nothing, 2).feats.shape == (0, 2)


def test_integers() -> None:
    x = SparseTensor(torch.tensor([[3], [-128]], dtype=torch.int8), torch.tensor([[0, 0], [0, 1]]))
    assert max_pool(x, 2).feats.tolist() == [[3]]
    for pool in (lambda: avg_pool(x, 2), lambda: global_avg_pool(x)):
        with pytest.raises(TypeError, match=r"must be floats, not torch\.int8"):
            pool()
