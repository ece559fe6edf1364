"""Weights laid out as other libraries lay them out give the dense convolution that they were made from.

The layouts are written here element by element; kernels are not symmetric, so that another order shows.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from support.voxels import gather, scatter, scene
from torch import Tensor, nn

from zeroskip.model.sparseconv import nn as spnn
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.weights import kernel_from, load_weights

SIZES = [(3, 3, 3), (2, 2, 2), (1, 3, 5), (3, 2, 1), (1, 1, 1), (4, 2, 3)]


def laid_out(dense: Tensor, layout: str) -> Tensor:
    """(out, in, x, y, z) in another layout, by the places of its elements."""
    x, y, z = dense.shape[2:]
    elements = list(product(range(x), range(y), range(z)))
    x_fastest = sorted(elements, key=lambda element: element[::-1])
    if layout == "torchsparse":
        order = x_fastest if x * y * z % 2 else elements
        return torch.stack([dense[:, :, i, j, k].T for i, j, k in order])
    if layout == "minkowski":
        return torch.stack([dense[:, :, i, j, k].T for i, j, k in x_fastest])
    return {
        "spconv": dense.permute(0, 2, 3, 4, 1),
        "spconv1": dense.permute(2, 3, 4, 1, 0),
        "dense": dense,
    }[layout]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("layout", ["torchsparse", "minkowski", "spconv", "spconv1", "dense"])
def test_a_convolution_of_any_layout(size: tuple[int, int, int], layout: str) -> None:
    torch.manual_seed(sum(size))
    dense = torch.randn(3, 2, *size, dtype=torch.float64)
    coords = scene(torch.Generator().manual_seed(1), [0, 1], [7, 6, 8], 0.4)
    x = SparseTensor(torch.randn(len(coords), 2).double(), coords, 1, (2, 7, 6, 8))
    network = nn.Sequential(spnn.Conv3d(2, 3, size, stride=2, padding=1, bias=True)).double()
    name = "0.kernel" if layout in ("torchsparse", "minkowski") else "0.weight"
    bias = torch.randn(1, 3) if layout == "minkowski" else torch.randn(3)
    load_weights(network, {name: laid_out(dense, layout), "0.bias": bias}, layout)
    y = network(x)
    wanted = torch.conv3d(scatter(x.feats, coords, [7, 6, 8], [0] * 3), dense, bias.double().flatten(), 2, 1)
    torch.testing.assert_close(y.feats, gather(wanted, y.coords, [0] * 3))


@pytest.mark.parametrize("layout", ["torchsparse", "minkowski", "spconv", "spconv1"])
def test_a_transposed_layer_of_any_layout(layout: str) -> None:
    torch.manual_seed(3)
    dense = torch.randn(3, 2, 3, 2, 3, dtype=torch.float64)
    up = spnn.Conv3d(2, 3, (3, 2, 3), 2, transposed=True, generative=True, convention="spconv").double()
    up.kernel.data = kernel_from(laid_out(dense, layout), up, layout)
    coords = scene(torch.Generator().manual_seed(1), [0], [3, 4, 2], 0.5)
    x = SparseTensor(torch.randn(len(coords), 2).double(), coords, 2, (1, 3, 4, 2))
    wanted = torch.conv_transpose3d(scatter(x.feats, coords, [3, 4, 2], [0] * 3), dense.transpose(0, 1), stride=2)
    y = up(x)
    torch.testing.assert_close(y.feats, gather(wanted, y.coords, [0] * 3))
    from_torch = kernel_from(dense.transpose(0, 1), up, "dense")
    assert torch.equal(from_torch, up.kernel)


@pytest.mark.parametrize("transposed", [False, True])
def test_one_element_of_spconv_is_a_matrix_of_in_and_out(transposed: bool) -> None:
    """spconv multiplies by `weight.view(in, out)` where the stride is 1, whatever the shape (out, 1, 1, 1, in) says."""
    network = nn.Sequential(spnn.Conv3d(2, 3, 1, transposed=transposed))
    load_weights(network, {"0.weight": torch.tensor([1.0, 2, 3, 40, 50, 60]).view(3, 1, 1, 1, 2)}, "spconv")
    x = SparseTensor(torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([[0] * 4, [0, 2, 2, 2]]))
    assert network(x).feats.tolist() == [[1, 2, 3], [40, 50, 60]]


def test_an_even_kernel_of_minkowski_starts_at_the_outputs_place() -> None:
    """Along one axis: output o sees o to o + 3. torchsparse's kernel of size 4 sees o - 1 to o + 2."""
    layer = spnn.Conv1d(1, 1, 4, convention="minkowski", submanifold=False)
    load_weights(layer, {"kernel": torch.tensor([1.0, 10, 100, 1000]).view(4, 1, 1)}, "minkowski")
    x = SparseTensor(torch.ones(3, 1), torch.tensor([[0, 0], [0, 1], [0, 3]]))
    assert layer(x).feats[:, 0].tolist() == [1011, 101, 1]


@pytest.mark.parametrize("rule", [{}, {"stride": 2, "transposed": True, "generative": True}])
def test_layers_with_other_places_refuse_even_kernels_of_minkowski(rule: dict[str, Any]) -> None:
    layer = spnn.Conv1d(1, 1, 4, **rule)
    with pytest.raises(ValueError, match=r'must have convention="minkowski"'):
        load_weights(layer, {"kernel": torch.zeros(4, 1, 1)}, "minkowski")


class Net(nn.Module):
    """One of our networks, and with other layers one as MinkowskiEngine has it."""

    def __init__(self, conv: nn.Module, norm: nn.Module) -> None:
        super().__init__()
        self.conv, self.norm, self.head = conv, norm, nn.Linear(3, 2)


class MinkowskiNorm(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.bn = nn.BatchNorm1d(3)


class MinkowskiConvolution(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.randn(27, 2, 3))


def test_the_state_of_a_whole_network() -> None:
    theirs = Net(MinkowskiConvolution(), MinkowskiNorm())
    theirs.norm.bn.running_mean += 2
    ours = Net(spnn.Conv3d(2, 3), spnn.BatchNorm(3))
    load_weights(ours, theirs.state_dict(), "minkowski")
    assert torch.equal(ours.conv.kernel, theirs.conv.kernel)
    assert ours.norm.running_mean.tolist() == [2, 2, 2]
    assert torch.equal(ours.head.weight, theirs.head.weight)


@pytest.mark.parametrize(
    ("state", "layout", "message"),
    [
        ({}, "caffe", "one of torchsparse, minkowski, spconv, spconv1, dense, not 'caffe'"),
        ({"kernel": torch.zeros(27, 2, 3)}, "spconv", r"missing \['0\.kernel'\], unknown \['kernel'\]"),
        ({"0.weight": torch.zeros(3, 3, 3, 3, 2)}, "minkowski", r"unknown \['0\.weight'\]"),
        ({"0.weight": torch.zeros(3, 3, 3, 2, 3)}, "spconv", r"must be \(3, 3, 3, 3, 2\) for Conv3d"),
        ({"0.kernel": torch.zeros(27, 3, 2)}, "torchsparse", r"must be \(27, 2, 3\)"),
    ],
)
def test_what_does_not_fit(state: dict[str, Tensor], layout: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        load_weights(nn.Sequential(spnn.Conv3d(2, 3)), state, layout)
