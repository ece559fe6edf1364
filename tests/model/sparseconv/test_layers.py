"""Layers have torchsparse's arguments and weights, and do to the features what torch's layers do."""

from __future__ import annotations

import inspect
from itertools import product

import pytest
import torch
from support.voxels import by_pairs, dense_weight, gather, scatter, scene
from torch import Tensor

from zeroskip.model.sparseconv import nn as spnn
from zeroskip.model.sparseconv.operators import cat, from_dense, spcrop, to_dense
from zeroskip.model.sparseconv.settings import (
    clear_global_conv_config,
    get_default_conv_config,
    set_downsample_mode,
    set_global_conv_config,
)
from zeroskip.model.sparseconv.tensor import SparseTensor

TORCHSPARSE_CONV3D = {
    "in_channels": inspect.Parameter.empty,
    "out_channels": inspect.Parameter.empty,
    "kernel_size": 3,
    "stride": 1,
    "padding": 0,
    "dilation": 1,
    "bias": False,
    "transposed": False,
    "generative": False,
    "config": None,
}
"""The arguments of torchsparse 2.1's Conv3d, in their order."""


def cloud(seed: int = 0, channels: int = 4, batches: tuple[int, ...] = (0, 2)) -> SparseTensor:
    random = torch.Generator().manual_seed(seed)
    coords = scene(random, list(batches), [6, 5, 4], 0.4)
    return SparseTensor(torch.randn(len(coords), channels, generator=random, dtype=torch.float64), coords)


def test_arguments_are_those_of_torchsparse() -> None:
    known = inspect.signature(spnn.Conv3d.__init__).parameters
    positional = {
        name: entry.default
        for name, entry in known.items()
        if entry.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD and name != "self"
    }
    assert list(positional.items()) == list(TORCHSPARSE_CONV3D.items())


@pytest.mark.parametrize(
    ("size", "stride", "first"),
    [((3, 3, 2), (1, 1, 2), (-1, -1, 0)), ((3, 3, 3), (1, 1, 3), (-1, -1, -1)), ((2, 2, 3), (2, 2, 1), (0, 0, -1))],
)
def test_rounded_outputs_where_some_axes_have_no_stride(
    size: tuple[int, ...], stride: tuple[int, ...], first: tuple[int, ...]
) -> None:
    """Torchsparse sets the padding of axes with stride 1 by itself; the rule of rounding down has no use for it."""
    torch.manual_seed(3)
    x = cloud()
    layer = spnn.Conv3d(4, 3, size, stride, convention="minkowski").double()
    y = layer(x)
    rounded = {(b, *(c // s for c, s in zip(row, stride, strict=True))) for b, *row in x.coords.tolist()}
    assert y.coords.tolist() == sorted(map(list, rounded))
    window = (list(size), list(stride), [1] * 3, list(first))
    wanted = by_pairs(x.feats, x.coords, y.coords, layer.kernel.detach(), *window)
    torch.testing.assert_close(y.feats, wanted)


@pytest.mark.parametrize(("size", "stride"), list(product((2, 3, 5), (1, 2, 3))))
def test_convolution_as_dense(size: int, stride: int) -> None:
    """As torchsparse's own test: half padding for odd sizes, none (but room at the end) for even ones."""
    torch.manual_seed(size + 10 * stride)
    x = cloud()
    layer = spnn.Conv3d(4, 3, size, stride, (size - 1) // 2 if size % 2 else 0, bias=True).double()
    kernel = dense_weight(layer.kernel.detach(), [size] * 3)
    dense = scatter(x.feats, x.coords, [6, 5, 4], [0, 0, 0])
    before = (size - 1) // 2 if size % 2 or stride == 1 else 0
    padded = torch.nn.functional.pad(dense, [before, size - 1] * 3)
    wanted = torch.conv3d(padded, kernel, layer.bias, stride)
    y = layer(x)
    torch.testing.assert_close(y.feats, gather(wanted, y.coords, [0, 0, 0]))
    assert y.stride == (stride,) * 3


def test_padding_of_axes_with_stride_1() -> None:
    """Odd sizes have half padding along them, whatever is asked for, as in torchsparse."""
    torch.manual_seed(0)
    x = cloud()
    layer = spnn.Conv3d(4, 3, (3, 3, 2), (2, 1, 1)).double()
    assert layer.padding == (0, 1, 0)
    dense = scatter(x.feats, x.coords, [6, 5, 4], [0, 0, 0])
    wanted = torch.conv3d(dense, dense_weight(layer.kernel.detach(), [3, 3, 2]), None, (2, 1, 1), (0, 1, 0))
    y = layer(x)
    torch.testing.assert_close(y.feats, gather(wanted, y.coords, [0, 0, 0]))


def test_weights_are_shaped_as_torchsparse_shapes_them() -> None:
    assert spnn.Conv3d(4, 5, 3).kernel.shape == (27, 4, 5)
    assert spnn.Conv3d(4, 5, 1).kernel.shape == (4, 5)
    assert spnn.Conv3d(4, 5, 1, stride=2).kernel.shape == (1, 4, 5)
    assert list(spnn.Conv3d(4, 5, (1, 3, 1), bias=True).state_dict()) == ["kernel", "bias"]


@pytest.mark.parametrize("layer", [spnn.Conv1d(1, 2), spnn.Conv2d(1, 2), spnn.Conv4d(1, 2)])
def test_other_numbers_of_axes(layer: torch.nn.Module) -> None:
    axes = len(layer.kernel_size)
    coords = scene(torch.Generator().manual_seed(axes), [0, 1], [3] * axes, 0.6)
    assert layer(SparseTensor(torch.ones(len(coords), 1), coords)).feats.shape == (len(coords), 2)
    with pytest.raises(ValueError, match=f"needs a tensor with {axes} axes after the batch index, not 3"):
        layer(cloud(channels=1))


def test_the_downsample_mode_is_the_convention() -> None:
    x = cloud()
    floored = torch.unique(torch.cat([x.coords[:, :1], x.coords[:, 1:] // 2], dim=1), dim=0)
    by_argument = spnn.Conv3d(4, 3, 3, 2, convention="minkowski").double()
    by_config = spnn.Conv3d(4, 3, 3, 2, config={"downsample_mode": "minkowski"}).double()
    by_settings = spnn.Conv3d(4, 3, 3, 2, padding=(0, 1, 1)).double()
    assert torch.equal(by_argument(x).coords, floored)
    assert torch.equal(by_config(x).coords, floored)
    assert not torch.equal(by_settings(x).coords, floored)
    config = get_default_conv_config()
    config.downsample_mode = "minkowski"
    set_global_conv_config(config)
    try:
        assert torch.equal(by_settings(x).coords, floored)
    finally:
        clear_global_conv_config()
    set_downsample_mode("minkowski")
    try:
        assert torch.equal(by_settings(x).coords, floored)
    finally:
        set_downsample_mode("spconv")
    with pytest.raises(ValueError, match="one of spconv, minkowski, not 'dense'"):
        set_downsample_mode("dense")


@pytest.mark.parametrize("training", [True, False])
def test_batch_norm_over_all_voxels(training: bool) -> None:
    x = cloud()
    layer, dense = spnn.BatchNorm(4).double(), torch.nn.BatchNorm1d(4).double()
    for module in (layer, dense):
        module.weight.data = torch.arange(1.0, 5.0).double()
        module.train(training)
    feats = x.feats.clone().requires_grad_()
    x.feats.requires_grad_()
    y, wanted = layer(x), dense(feats)
    assert torch.equal(y.feats, wanted)
    assert torch.equal(layer.running_var, dense.running_var)
    y.feats.square().sum().backward()
    wanted.square().sum().backward()
    assert torch.equal(x.feats.grad, feats.grad)


def test_group_norm_batch_by_batch() -> None:
    x = cloud(batches=(0, 1, 3))
    layer, dense = spnn.GroupNorm(2, 4).double(), torch.nn.GroupNorm(2, 4).double()
    for batch in (0, 1, 3):
        rows = x.coords[:, 0] == batch
        torch.testing.assert_close(layer(x).feats[rows], dense(x.feats[rows].T[None])[0].T)


@pytest.mark.parametrize("affine", [False, True])
def test_instance_norm_channel_by_channel_of_each_batch(affine: bool) -> None:
    x = cloud(batches=(0, 1, 3))
    layer = spnn.InstanceNorm(4, affine=affine).double()
    if affine:
        layer.load_state_dict({"weight": torch.arange(1.0, 5), "bias": torch.arange(4.0)})
    for batch in (0, 1, 3):
        rows = x.coords[:, 0] == batch
        feats = x.feats[rows]
        wanted = (feats - feats.mean(dim=0)) / (feats.var(dim=0, unbiased=False) + 1e-5).sqrt()
        if affine:
            wanted = wanted * torch.arange(1.0, 5) + torch.arange(4.0)
        torch.testing.assert_close(layer(x).feats[rows], wanted)


def test_instance_norm_refuses_what_it_would_do_wrong() -> None:
    with pytest.raises(ValueError, match="track_running_stats must be False"):
        spnn.InstanceNorm(4, track_running_stats=True)
    with pytest.raises(ValueError, match="features must have 5 channels, not 4"):
        spnn.InstanceNorm(5)(cloud())


@pytest.mark.parametrize(
    ("layer", "dense"),
    [
        (spnn.ReLU(True), torch.nn.ReLU()),
        (spnn.LeakyReLU(0.2), torch.nn.LeakyReLU(0.2)),
        (spnn.SiLU(), torch.nn.SiLU()),
        (spnn.Dropout(0.3).eval(), torch.nn.Dropout(0.3).eval()),
    ],
)
def test_activations(layer: torch.nn.Module, dense: torch.nn.Module) -> None:
    x = cloud()
    wanted = dense(x.feats.clone())
    assert torch.equal(layer(x).feats, wanted)


def test_dropout_drops_while_training() -> None:
    x = cloud()
    kept = spnn.Dropout(0.5)(x).feats
    assert ((kept == 0) | (kept == 2 * x.feats)).all()
    assert 0 < int((kept == 0).sum()) < kept.numel()


def test_layers_that_keep_the_voxels_share_their_maps() -> None:
    torch.manual_seed(0)
    x = cloud()
    conv = spnn.Conv3d(4, 4).double()
    y = conv(spnn.ReLU()(spnn.BatchNorm(4).double()(conv(x))))
    assert [len(maps) for maps in y._caches.kmaps.values()] == [1]


def test_cat_joins_channels() -> None:
    x, y = cloud(0, 4), cloud(0, 3)
    assert torch.equal(cat([x, y]).feats, torch.cat([x.feats, y.feats], dim=1))
    assert cat([x, y])._caches is x._caches
    with pytest.raises(ValueError, match="strides must be equal"):
        cat([x, SparseTensor(y.feats, y.coords, 2)])
    with pytest.raises(ValueError, match="must be equal and in the same order"):
        cat([x, SparseTensor(y.feats, y.coords.flip(0))])
    with pytest.raises(ValueError, match="at least one tensor"):
        cat([])


def test_sums_need_as_many_channels() -> None:
    """A tensor with one channel would be spread over all."""
    with pytest.raises(ValueError, match="as many channels, not 4 and 1"):
        cloud(0, 4) + cloud(0, 1)


def test_crop() -> None:
    x = cloud()
    kept = spnn.SparseCrop((1, 0, 2), (4, 3, 4))(x)
    inside = [1 <= i < 4 and 0 <= j < 3 and 2 <= k < 4 for _, i, j, k in x.coords.tolist()]
    assert kept.coords.tolist() == [row for row, known in zip(x.coords.tolist(), inside, strict=True) if known]
    assert torch.equal(kept.feats, x.feats[torch.tensor(inside)])
    assert len(spcrop(x)) == len(x)


def test_to_dense_and_back() -> None:
    """A dense tensor holds every voxel at its place, and gives the same tensor back."""
    x = cloud()
    dense = to_dense(x.feats, x.coords, (4, 6, 5, 4))
    assert torch.equal(dense.movedim(-1, 1)[:3], scatter(x.feats, x.coords, [6, 5, 4], [0, 0, 0]))
    assert not dense[3].any()
    dense.requires_grad_()
    y = from_dense(dense)
    assert y.spatial_range == (4, 6, 5, 4)
    order = sorted(range(len(x)), key=lambda row: x.coords[row].tolist())
    assert torch.equal(y.feats, x.feats[order])
    assert torch.equal(y.coords, x.coords[order])
    y.feats.sum().backward()
    assert torch.equal(dense.grad, (dense != 0).double())


def labels(kind: torch.dtype) -> Tensor:
    return torch.arange(3).to(kind)


@pytest.mark.parametrize("kind", [torch.int64, torch.int32, torch.uint8, torch.bool])
def test_labels_ride_along_but_no_layer_takes_them(kind: torch.dtype) -> None:
    """Several points of one voxel have their labels in a tensor before they are merged."""
    coords = torch.tensor([[0, 1, 1, 1], [0, 1, 1, 1], [0, 2, 0, 0]])
    kept = SparseTensor(labels(kind), coords)
    assert torch.equal(kept.F, labels(kind))
    with pytest.raises(TypeError, match="not labels"):
        spnn.Conv3d(1, 1)(kept)


def test_what_is_set_is_checked_by_the_next_layer() -> None:
    x = cloud()
    conv = spnn.Conv3d(4, 2).double()
    feats, coords = torch.cat([x.feats, x.feats]), torch.cat([x.coords, x.coords])
    x.feats = feats
    with pytest.raises(ValueError, match="as many rows"):
        conv(x)
    x.coords = coords
    with pytest.raises(ValueError, match="must differ from each other"):
        conv(x)
    coords = coords.clone()
    coords[len(coords) // 2 :, 0] += 1
    x.coords = coords
    assert torch.equal(conv(x).feats, conv(SparseTensor(feats, coords)).feats)
    x.spatial_range = (9, 6, 5, 4)
    x.coords = coords + 1
    with pytest.raises(ValueError, match="axis 1 must lie from 0 to 5"):
        conv(x)
    with pytest.raises(ValueError, match="must not be negative"):
        spnn.Conv2d(4, 2).double()(SparseTensor(feats, coords[:, :3] * 0 + torch.arange(len(coords))[:, None] - 9))
