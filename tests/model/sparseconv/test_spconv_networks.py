"""Networks in spconv's style run with the import changed, and equal dense layers, as in spconv's own tests."""

from __future__ import annotations

from collections import OrderedDict
from itertools import product

import pytest
import torch
from support.voxels import scene
from torch import Tensor, nn

import zeroskip.sparseconv.spconv as spconv

SHAPE = [9, 8, 7]
WINDOWS = [
    (size, stride, padding, dilation)
    for size, stride, padding, dilation in product((2, 3), (1, 2, 3), (0, 1, 2), (1, 2, 3))
    if (stride == 1 or dilation == 1) and padding <= size // 2
]


def cloud(channels: int = 4, batches: int = 2, seed: int = 0) -> spconv.SparseConvTensor:
    random = torch.Generator().manual_seed(seed)
    coords = scene(random, list(range(batches)), SHAPE, 0.3)
    feats = torch.randn(len(coords), channels, generator=random, dtype=torch.float64, requires_grad=True)
    return spconv.SparseConvTensor(feats, coords, SHAPE, batches)


def equal(found: Tensor, wanted: Tensor, *leaves: tuple[Tensor, Tensor]) -> None:
    """Values and gradients; each pair is a leaf of `found` and the one of `wanted`, laid out alike."""
    assert found.shape == wanted.shape
    torch.testing.assert_close(found, wanted)
    weight = torch.randn(found.shape, dtype=torch.float64)
    gradients = torch.autograd.grad((found * weight).sum(), [leaf for leaf, _ in leaves], retain_graph=True)
    known = torch.autograd.grad((wanted * weight).sum(), [leaf for _, leaf in leaves], retain_graph=True)
    for gradient, dense_gradient, (leaf, _) in zip(gradients, known, leaves, strict=True):
        torch.testing.assert_close(gradient, dense_gradient.reshape(leaf.shape))


def at_voxels(dense: Tensor, x: spconv.SparseConvTensor) -> Tensor:
    """A dense result, zero where the sparse one has no voxel."""
    mask = torch.zeros(x.batch_size, 1, *x.spatial_shape)
    b, i, j, k = x.indices.long().T
    mask[b, 0, i, j, k] = 1
    return dense * mask


@pytest.mark.parametrize(("size", "stride", "padding", "dilation"), WINDOWS)
def test_layers_as_dense(size: int, stride: int, padding: int, dilation: int) -> None:
    torch.manual_seed(0)
    x = cloud()
    dense = x.dense()
    window = (size, stride, padding)
    conv, up = (
        kind(4, 3, size, stride, padding, dilation, bias=False).double()
        for kind in (spconv.SparseConv3d, spconv.SparseConvTranspose3d)
    )
    y = conv(x)
    weight = conv.weight.detach().movedim(-1, 1).requires_grad_()
    wanted = torch.conv3d(dense, weight, None, stride, padding, dilation)
    assert y.spatial_shape == list(wanted.shape[2:])
    features = (x.features, x.features)
    equal(y.dense(), wanted, features)
    found = torch.autograd.grad(y.dense().square().sum(), conv.weight, retain_graph=True)[0]
    known = torch.autograd.grad(wanted.square().sum(), weight, retain_graph=True)[0]
    torch.testing.assert_close(found.movedim(-1, 1), known)

    z = up(x)
    weight = up.weight.detach().permute(4, 0, 1, 2, 3)
    wanted = torch.conv_transpose3d(dense, weight, None, stride, padding, 0, 1, dilation)
    assert z.spatial_shape == list(wanted.shape[2:])
    equal(z.dense(), wanted, features)

    absent = at_voxels(torch.ones(1), x) == 0
    lowest = dense.masked_fill(absent, -float("inf"))
    largest = torch.nn.functional.max_pool3d(lowest, *window, dilation)
    pooled = spconv.SparseMaxPool3d(*window, dilation)(x)
    assert torch.equal(torch.nonzero(largest[:, 0] > -float("inf")), pooled.indices.long())
    equal(pooled.dense(), largest.masked_fill(largest == -float("inf"), 0), features)


@pytest.mark.parametrize(("size", "dilation"), [(1, 1), (3, 1), (3, 2), ((1, 3, 5), 1)])
def test_submanifold(size: int | tuple[int, ...], dilation: int) -> None:
    torch.manual_seed(1)
    x = cloud()
    layer = spconv.SubMConv3d(4, 3, size, padding=7, dilation=dilation, indice_key="subm").double()
    y = layer(layer_input := x)
    padding = [(length - 1) // 2 * dilation for length in layer.kernel_size]
    # spconv reads the weight of one element as (in, out).
    as_read = layer.weight if size != 1 else layer.weight.view(4, 3).T.view(3, 1, 1, 1, 4)
    wanted = torch.conv3d(x.dense(), as_read.movedim(-1, 1), layer.bias, 1, padding, dilation)
    equal(y.dense(), at_voxels(wanted, x), (layer_input.features, x.features))
    assert y.indices is x.indices
    # Another layer of the same name shares the map.
    again = spconv.SubMConv3d(3, 2, size, dilation=dilation, indice_key="subm").double()(y)
    assert list(again.indice_dict) == ["subm"]


@pytest.mark.parametrize("kind", [spconv.SubMConv3d, spconv.SparseConv3d, spconv.SparseConvTranspose3d])
def test_one_element_is_read_as_spconv_reads_it(kind: type[spconv.SparseConvolution]) -> None:
    """spconv multiplies by `weight.view(in, out)`: the rows of the matrix are the in channels."""
    layer = kind(2, 3, 1, bias=False)
    layer.weight.data = torch.tensor([1.0, 2, 3, 40, 50, 60]).view(3, 1, 1, 1, 2)
    x = spconv.SparseConvTensor(
        torch.tensor([[1.0, 0], [0, 1], [1, 1]]), torch.arange(3)[:, None].expand(3, 4), [3] * 3, 3
    )
    assert layer(x).features.tolist() == [[1, 2, 3], [40, 50, 60], [41, 52, 63]]


def test_one_element_with_a_stride_is_read_by_its_shape() -> None:
    layer = spconv.SparseConv3d(2, 3, 1, stride=2, bias=False)
    layer.weight.data = torch.tensor([1.0, 40, 2, 50, 3, 60]).view(3, 1, 1, 1, 2)
    x = spconv.SparseConvTensor(torch.tensor([[1.0, 0], [0, 1]]), torch.tensor([[0] * 4, [0, 2, 2, 2]]), [3] * 3, 1)
    assert layer(x).features.tolist() == [[1, 2, 3], [40, 50, 60]]


@pytest.mark.parametrize("stride", [1, 2])
def test_inverse_undoes_a_layer(stride: int) -> None:
    torch.manual_seed(2)
    x = cloud()
    net = spconv.SparseSequential(
        spconv.SparseConv3d(4, 5, 3, stride, padding=1, bias=False, indice_key="down"),
        spconv.SubMConv3d(5, 5, 3, bias=False),
        spconv.SparseInverseConv3d(5, 2, 3, indice_key="down", bias=False),
    ).double()
    y = net(x)
    first, middle, last = net
    below = torch.conv3d(x.dense(), first.weight.movedim(-1, 1), None, stride, 1)
    middle_voxels = first(x)
    below = at_voxels(torch.conv3d(below, middle.weight.movedim(-1, 1), None, 1, 1), middle_voxels)
    left = [(length - 1) % stride for length in SHAPE]
    above = torch.conv_transpose3d(below, last.weight.permute(4, 0, 1, 2, 3), None, stride, 1, left)
    assert torch.equal(y.indices, x.indices)
    assert y.spatial_shape == SHAPE
    equal(y.dense(), at_voxels(above, x), (x.features, x.features))


def test_containers_and_features() -> None:
    """What networks call besides the convolutions: sequences, arithmetic of features, dense tensors, global pooling."""
    torch.manual_seed(3)
    x = cloud()
    net = spconv.SparseSequential(
        OrderedDict(conv=spconv.SubMConv3d(4, 6, 3), norm=nn.BatchNorm1d(6), relu=nn.ReLU()),
        head=spconv.SparseReLU(),
    ).double()
    net.add(spconv.ToDense())
    assert [name for name, _ in net.named_children()] == ["conv", "norm", "relu", "head", "4"]
    assert net(x).shape == (2, 6, *SHAPE)
    assert isinstance(net[0], spconv.SubMConv3d)
    assert spconv.SparseIdentity()(x) is x
    doubled = x.replace_feature(x.features * 2)
    assert torch.equal((x + x).features, doubled.features)
    assert torch.equal((x + x.features).features, doubled.features)
    assert torch.equal(x.minus().features, -x.features)
    back = spconv.SparseConvTensor.from_dense(x.dense(channels_first=False))
    assert torch.equal(back.dense(), x.dense())
    assert x.sparity == len(x.indices) / (2 * 9 * 8 * 7)
    pooled = spconv.SparseGlobalAvgPool()(x)
    torch.testing.assert_close(pooled[1], x.features[x.indices[:, 0] == 1].mean(dim=0))
    assert torch.equal(spconv.SparseGlobalMaxPool()(x)[0], x.features[x.indices[:, 0] == 0].amax(dim=0))


class UBlock(spconv.SparseModule):
    """A level of a U-Net as instance segmentation networks have it: the levels below are inside."""

    def __init__(self, channels: list[int], level: int = 1) -> None:
        super().__init__()
        width, algo = channels[0], spconv.ConvAlgo.Native

        def subm(inputs: int) -> spconv.SparseSequential:
            conv = spconv.SubMConv3d(inputs, width, 3, padding=1, bias=False, indice_key=f"subm{level}", algo=algo)
            return spconv.SparseSequential(nn.BatchNorm1d(inputs), nn.ReLU(), conv)

        self.block = subm(width)
        self.below = None
        if len(channels) > 1:
            key = f"spconv{level}"
            self.down = spconv.SparseConv3d(width, channels[1], kernel_size=2, stride=2, indice_key=key)
            self.below = UBlock(channels[1:], level + 1)
            self.up = spconv.SparseInverseConv3d(channels[1], width, kernel_size=2, indice_key=key)
            self.tail = subm(2 * width)

    def forward(self, x: spconv.SparseConvTensor) -> spconv.SparseConvTensor:
        x = self.block(x)
        if self.below is None:
            return x
        identity = spconv.SparseConvTensor(x.features, x.indices, x.spatial_shape, x.batch_size)
        y = self.up(self.below(self.down(x)))
        return self.tail(y.replace_feature(torch.cat((identity.features, y.features), dim=1)))


def test_a_nested_u_net_trains() -> None:
    torch.manual_seed(4)
    x = cloud()
    network = UBlock([4, 6, 8]).double()
    y = network(spconv.RemoveGrid()(x))
    assert torch.equal(y.indices, x.indices)
    assert sorted(y.indice_dict) == ["spconv1", "spconv2", "subm1", "subm2", "subm3"]
    # A voxel that no window of the coarser levels reaches has features of its own level alone.
    assert torch.isfinite(y.features).all()
    y.features.square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in network.parameters())


def test_indices_of_nonzero() -> None:
    """They are not contiguous, and spconv reads them as other voxels."""
    dense = torch.randn(1, 5, 5, 5) * (torch.rand(1, 5, 5, 5) < 0.4)
    indices = torch.nonzero(dense).int()
    x = spconv.SparseConvTensor(dense[tuple(indices.long().T)][:, None], indices, [5, 5, 5], 1)
    layer = spconv.SparseConv3d(1, 2, 3, bias=False)
    torch.testing.assert_close(layer(x).dense(), torch.conv3d(dense[:, None], layer.weight.movedim(-1, 1)))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: spconv.SubMConv3d(4, 4, 2).double()(x), "stride 1 and odd sizes"),
        (lambda x: spconv.SubMConv3d(4, 4, 3, 2).double()(x), "stride 1 and odd sizes"),
        (lambda x: spconv.SparseConv2d(4, 4, 3).double()(x), "needs a tensor with 2 axes"),
        (lambda x: spconv.SparseConv3d(5, 4, 3).double()(x), "the 5 channels that weight takes, not 4"),
        (lambda x: spconv.SparseConv3d(4, 4, 3, groups=2), "groups must be 1"),
        (lambda x: spconv.SparseInverseConv3d(4, 4, 3, indice_key="none").double()(x), "not 'none'; known: none"),
        (lambda x: x.replace_feature(x.features[:3]).dense(), "as many rows"),
        (lambda x: setattr(x, "features", x.features), "use x = x.replace_feature"),
        (lambda x: x + cloud(seed=1), "must be equal and in the same order"),
        (lambda x: x + x.replace_feature(x.features[:, :1]), "as many channels, not 4 and 1"),
        (lambda x: spconv.SparseConvTensor(x.features, x.indices, [3, 3, 3], 2), "must lie from 0 to 2"),
        (lambda x: spconv.SparseConvTensor(x.features, x.indices, SHAPE, 1), "batch indices must lie from 0 to 0"),
        (lambda x: spconv.SparseConvTensor(x.features, x.indices, [3, 3], 1), "spatial_shape must have 3 entries"),
    ],
)
def test_one_clear_error(call: object, message: str) -> None:
    assert callable(call)
    with pytest.raises(ValueError, match=message):
        call(cloud())


def test_wrong_names_of_maps() -> None:
    x = cloud()
    down = spconv.SparseConv3d(4, 4, 3, 2, indice_key="down").double()(x)
    with pytest.raises(ValueError, match="'down' must be new"):
        spconv.SparseConv3d(4, 4, 3, 2, indice_key="down").double()(down)
    with pytest.raises(ValueError, match=r"kernel_size must be \(3, 3, 3\)"):
        spconv.SparseInverseConv3d(4, 4, 2, indice_key="down").double()(down)
    other = spconv.SparseMaxPool3d(2)(down)
    with pytest.raises(ValueError, match="must start at the coordinates of the tensor"):
        spconv.SparseInverseConv3d(4, 4, 3, indice_key="down").double()(other)
    subm = spconv.SubMConv3d(4, 4, 3, indice_key="same").double()(x)
    with pytest.raises(ValueError, match="known: same"):
        spconv.SparseInverseConv3d(4, 4, 3, indice_key="same").double()(subm)
