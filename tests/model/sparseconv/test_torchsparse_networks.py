"""Networks in torchsparse's style run with the import changed, and equal dense networks on full grids."""

from __future__ import annotations

import copy
import importlib
import pickle
from itertools import product
from typing import Any

import numpy as np
import pytest
import torch
from support.voxels import dense_weight
from torch import Tensor, nn

import zeroskip.sparseconv as torchsparse
from zeroskip.sparseconv import SparseTensor
from zeroskip.sparseconv import nn as spnn
from zeroskip.sparseconv.backbones import SparseResNet21D, SparseResUNet42
from zeroskip.sparseconv.backbones.modules import SparseResBlock
from zeroskip.sparseconv.backbones.unet import SparseResUNet
from zeroskip.sparseconv.nn import functional as F
from zeroskip.sparseconv.utils.collate import sparse_collate_fn
from zeroskip.sparseconv.utils.quantize import sparse_quantize
from zeroskip.sparseconv.utils.tensor_cache import (
    TensorCacheMode,
    clear_global_tensor_cache,
    set_tensor_cache_mode,
)

NAMES = {
    "": "SparseTensor PointTensor cat nn utils backbones backends tensor tune __version__",
    "nn": "Conv3d BatchNorm GroupNorm InstanceNorm ReLU LeakyReLU SiLU GlobalAvgPool GlobalMaxPool SparseCrop "
    "functional utils",
    "nn.modules": "Conv3d BatchNorm ReLU InstanceNorm",
    "nn.modules.conv": "Conv3d",
    "nn.modules.norm": "BatchNorm GroupNorm InstanceNorm",
    "nn.modules.activation": "ReLU LeakyReLU SiLU",
    "nn.modules.pooling": "GlobalAvgPool GlobalMaxPool",
    "nn.modules.crop": "SparseCrop",
    "nn.functional.devoxelize": "calc_ti_weights spdevoxelize",
    "nn.functional.voxelize": "spvoxelize",
    "nn.functional.hash": "sphash",
    "nn.functional.query": "sphashquery",
    "nn.functional.count": "spcount",
    "nn.functional": "conv3d relu leaky_relu silu global_avg_pool global_max_pool spcrop spcount sphash sphashquery "
    "spvoxelize spdevoxelize calc_ti_weights spdownsample set_conv_mode get_conv_mode set_kmap_mode get_kmap_mode "
    "set_downsample_mode get_downsample_mode conv_config Dataflow ConvMode",
    "nn.functional.conv.conv_mode": "set_conv_mode set_downsample_mode ConvMode",
    "nn.functional.conv.conv_config": "_default_conv_config Dataflow get_default_conv_config "
    "set_global_conv_config get_global_conv_config "
    "clear_global_conv_config",
    "nn.utils": "fapply get_kernel_offsets",
    "utils": "make_ntuple make_tensor make_divisible to_dense",
    "utils.utils": "make_ntuple make_tensor make_divisible",
    "utils.quantize": "sparse_quantize",
    "utils.collate": "sparse_collate sparse_collate_fn",
    "utils.tensor_cache": "TensorCache TensorCacheMode set_tensor_cache_mode get_tensor_cache_mode "
    "get_global_tensor_cache set_global_tensor_cache clear_global_tensor_cache",
    "tensor": "SparseTensor set_allow_negative_coordinates get_allow_negative_coordinates",
    "operators": "cat",
    "backends": "benchmark allow_tf32",
    "backbones": "SparseResNet21D SparseResUNet42",
    "backbones.modules": "SparseConvBlock SparseConvTransposeBlock SparseResBlock",
    "backbones.resnet": "SparseResNet21D",
    "backbones.unet": "SparseResUNet42",
}
"""What networks for torchsparse 2.1 take from each of its modules."""


@pytest.mark.parametrize("module", NAMES)
def test_names(module: str) -> None:
    found = importlib.import_module("zeroskip.sparseconv" + (f".{module}" if module else ""))
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


def test_functions_with_the_names_of_modules_stay_functions() -> None:
    for name in ("devoxelize", "voxelize"):
        importlib.import_module(f"zeroskip.sparseconv.nn.functional.{name}")
        assert callable(getattr(F, name))


def test_the_least_multiple() -> None:
    from zeroskip.sparseconv.utils.utils import make_divisible

    assert [make_divisible(number, 8) for number in (0, 1, 8, 9, 17)] == [0, 8, 8, 16, 24]


def dense_twin(module: nn.Module) -> nn.Module:
    """The dense network of a sparse one, for grids on which every voxel is there."""
    if isinstance(module, spnn.Conv3d):
        size = list(module.kernel_size)
        weight = dense_weight(module.kernel.detach().reshape(-1, module.in_channels, module.out_channels), size)
        if module.transposed:
            dense: nn.Module = nn.ConvTranspose3d(
                module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding, bias=False
            )
            weight = weight.transpose(0, 1)
        else:
            dense = nn.Conv3d(
                module.in_channels, module.out_channels, module.kernel_size, module.stride, module.padding, bias=False
            )
        dense.weight = nn.Parameter(weight)
        return dense
    if isinstance(module, spnn.BatchNorm):
        norm: nn.Module = nn.BatchNorm3d(module.num_features)
        norm.load_state_dict(module.state_dict())
        return norm.eval()
    if isinstance(module, spnn.ReLU):
        return nn.ReLU()
    if isinstance(module, nn.Identity):
        return module
    if isinstance(module, SparseResBlock):
        return DenseBlock(module)
    assert isinstance(module, nn.Sequential)
    return nn.Sequential(*map(dense_twin, module))


class DenseBlock(nn.Module):
    def __init__(self, block: SparseResBlock) -> None:
        super().__init__()
        self.main, self.shortcut = dense_twin(block.main), dense_twin(block.shortcut)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(self.main(x) + self.shortcut(x))


def full_grid(batches: int, extents: list[int], channels: int) -> tuple[Tensor, SparseTensor]:
    dense = torch.randn(batches, channels, *extents)
    coords = torch.tensor(list(product(range(batches), *map(range, extents))), dtype=torch.int32)
    coords = coords[torch.randperm(len(coords))]
    feats = dense.movedim(1, -1)[tuple(coords.long().T)]
    return dense, SparseTensor(feats, coords, spatial_range=(batches, *extents))


def with_statistics(network: nn.Module) -> nn.Module:
    for module in network.modules():
        if isinstance(module, nn.BatchNorm1d):
            module.running_mean = torch.randn(module.num_features) / 4
            module.running_var = torch.rand(module.num_features) + 0.5
    return network.eval()


def test_a_u_net_as_a_dense_one() -> None:
    torch.manual_seed(0)
    network = with_statistics(SparseResUNet(4, [6, 5], [7, 4], in_channels=3))
    dense, x = full_grid(2, [8, 4, 12], 3)
    levels = [dense_twin(network.stem)(dense)]
    for encoder in network.encoders:
        levels.append(dense_twin(encoder)(levels[-1]))
    for decoder, skipped in zip(network.decoders, [levels[1], levels[0]], strict=True):
        above = dense_twin(decoder["upsample"])(levels[-1])
        levels.append(dense_twin(decoder["fuse"])(torch.cat([above, skipped], dim=1)))
    outputs = network(x)
    assert [y.stride[0] for y in outputs] == [1, 2, 4, 2, 1]
    for y, wanted in zip(outputs, levels, strict=True):
        torch.testing.assert_close(y.dense().movedim(-1, 1), wanted, rtol=1e-4, atol=1e-4)
    assert torch.equal(outputs[-1].coords, x.coords)


def test_the_encoder_as_a_dense_one() -> None:
    """Strided layers without padding drop what does not fit, as dense ones."""
    torch.manual_seed(1)
    network = with_statistics(SparseResNet21D(in_channels=2, width_multiplier=0.25))
    dense, x = full_grid(1, [15, 31, 17], 2)
    for stage, y in zip(network, network(x), strict=True):
        dense = dense_twin(stage)(dense)
        assert y.spatial_range == (1, *dense.shape[2:])
        torch.testing.assert_close(y.dense().movedim(-1, 1), dense, rtol=1e-4, atol=1e-4)


def test_state_of_torchsparses_backbones() -> None:
    """The names and shapes of some weights in its checkpoints."""
    unet, resnet = SparseResUNet42(), SparseResNet21D()
    assert unet.state_dict()["stem.0.kernel"].shape == (27, 4, 32)
    assert unet.state_dict()["encoders.1.1.shortcut.0.kernel"].shape == (32, 64)
    assert unet.state_dict()["decoders.0.upsample.0.kernel"].shape == (8, 256, 256)
    assert unet.state_dict()["decoders.3.fuse.0.main.0.kernel"].shape == (27, 128, 96)
    assert resnet.state_dict()["1.0.0.kernel"].shape == (27, 16, 32)
    assert resnet.state_dict()["4.0.0.kernel"].shape == (3, 128, 128)
    convolutions = sum(isinstance(module, spnn.Conv3d) and module.kernel_volume > 1 for module in unet.modules())
    assert convolutions == 42
    with pytest.raises(ValueError, match="as many as encoder_channels"):
        SparseResUNet(4, [4, 4], [4])


class Points(torch.utils.data.Dataset[dict[str, Any]]):
    """Scenes as torchsparse's example makes them: coordinates without a batch index, labels in a tensor."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, number: int) -> dict[str, Any]:
        random = np.random.default_rng(number)
        points = random.uniform(-4, 4, (300, 4))
        coords, index = sparse_quantize(points[:, :3], 0.5, return_index=True)
        feats, labels = points[index].astype(np.float32), random.integers(0, 10, 300)[index]
        coords = torch.tensor(coords, dtype=torch.int)
        return {
            "input": SparseTensor(coords=coords, feats=torch.from_numpy(feats)),
            "label": SparseTensor(coords=coords, feats=torch.from_numpy(labels)),
        }


def test_a_training_loop_in_torchsparses_style() -> None:
    torch.manual_seed(0)
    F.set_kmap_mode("hashmap")
    F.set_conv_mode(2)
    torchsparse.backends.benchmark = True
    torchsparse.tensor.set_allow_negative_coordinates(True)
    assert torchsparse.__version__ >= "2.1.0"
    model = nn.Sequential(
        spnn.Conv3d(4, 16, 3),
        spnn.BatchNorm(16),
        spnn.ReLU(True),
        spnn.Conv3d(16, 32, 2, stride=2),
        spnn.BatchNorm(32),
        spnn.ReLU(True),
        spnn.Conv3d(32, 32, 2, stride=2, transposed=True),
        spnn.BatchNorm(32),
        spnn.ReLU(True),
        spnn.Conv3d(32, 10, 1),
    )
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(6):
        for batch in torch.utils.data.DataLoader(Points(), batch_size=2, collate_fn=sparse_collate_fn):
            outputs = model(batch["input"].to(device="cpu"))
            loss = nn.CrossEntropyLoss()(outputs.feats, batch["label"].feats)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
    assert outputs.coords[:, 0].unique().tolist() == [0, 1]
    assert losses[-1] < 0.8 * losses[0]


class Attention(nn.Module):
    """A user's layer makes a tensor of its own and hands the caches on."""

    def forward(self, x: SparseTensor) -> SparseTensor:
        y = SparseTensor(feats=x.feats * 2, coords=x.coords, stride=x.stride)
        y._caches = x._caches
        y._caches.cmaps.setdefault(x.stride, (x.coords, x.spatial_range))
        y.F = y.F + 1
        return y


def test_a_users_layer_between_a_strided_layer_and_its_transposed() -> None:
    torch.manual_seed(0)
    _, x = full_grid(1, [4, 4, 4], 2)
    model = nn.Sequential(spnn.Conv3d(2, 3, 2, 2), Attention(), spnn.Conv3d(3, 1, 2, 2, transposed=True))
    assert torch.equal(model(x).coords, x.coords)


def test_a_cache_that_all_tensors_share() -> None:
    _, x = full_grid(1, [4, 4, 4], 2)
    set_tensor_cache_mode(TensorCacheMode.GLOBAL_TENSOR_CACHE)
    try:
        down = spnn.Conv3d(2, 3, 2, 2)(SparseTensor(x.feats, x.coords))
        fresh = SparseTensor(down.feats, down.coords, down.stride)
        assert torch.equal(spnn.Conv3d(3, 1, 2, 2, transposed=True)(fresh).coords, x.coords)
        clear_global_tensor_cache()
        with pytest.raises(ValueError, match="must undo a strided one"):
            spnn.Conv3d(3, 1, 2, 2, transposed=True)(SparseTensor(down.feats, down.coords, down.stride))
    finally:
        clear_global_tensor_cache()
        set_tensor_cache_mode(TensorCacheMode.SEPARATE_TENSOR_CACHE)


def test_a_shared_cache_does_not_cut_other_scenes() -> None:
    """Generated voxels lie in the range of their own scene, not in that of an earlier one of the same level."""
    set_tensor_cache_mode(TensorCacheMode.GLOBAL_TENSOR_CACHE)
    try:
        for extent in (4, 8):
            _, x = full_grid(1, [extent] * 3, 2)
            down = spnn.Conv3d(2, 2, 2, 2)(SparseTensor(x.feats, x.coords, 1, (1, *[extent] * 3)))
            made = spnn.Conv3d(2, 2, 2, 2, transposed=True, generative=True)(down)
            assert len(made.coords) == extent**3
            assert made.spatial_range == (1, extent, extent, extent)
    finally:
        clear_global_tensor_cache()
        set_tensor_cache_mode(TensorCacheMode.SEPARATE_TENSOR_CACHE)


def test_points_carry_what_is_computed_once() -> None:
    points = torchsparse.PointTensor(torch.ones(2, 1), torch.zeros(2, 4))
    points.idx_query[(1, 1, 1)] = "kept"
    both = points + torchsparse.PointTensor(torch.ones(2, 1), torch.zeros(2, 4))
    assert both.F.tolist() == [[2], [2]]
    assert both.idx_query == {(1, 1, 1): "kept"}
    assert both.additional_features is points.additional_features


def test_a_tensor_copied_or_sent_to_another_process() -> None:
    """It is whole and independent of the first one: features, voxels, level, and layers that run on it."""
    torch.manual_seed(0)
    _, x = full_grid(1, [4, 4, 4], 2)
    down = spnn.Conv3d(2, 3, 2, 2)(x)
    up = spnn.Conv3d(3, 1, 2, 2, transposed=True)
    twin = copy.deepcopy(SparseTensor(x.F, x.C))
    twin.F[0] = 7
    assert not torch.equal(twin.F, x.F)
    down.F = down.F.detach()
    assert torch.equal(up(copy.deepcopy(down)).F, up(down).F)
    there = pickle.loads(pickle.dumps(down))
    assert torch.equal(there.F, down.F)
    assert torch.equal(there.C, down.C)
    assert (there.s, there.spatial_range) == (down.s, down.spatial_range)
    assert torch.equal(spnn.Conv3d(3, 1, 3)(there).C, down.C)


@pytest.mark.parametrize("layer", [spnn.Conv3d(2, 3, 3), spnn.Conv3d(2, 3, 2, 2)])
def test_results_of_a_copy_are_its_own(layer: nn.Module) -> None:
    """A copy knows the maps; changing voxels of the first tensor and its results must not reach those of the copy."""
    _, x = full_grid(1, [4, 4, 4], 2)
    first = layer(x)
    result = layer(copy.deepcopy(x))
    kept = result.C.clone()
    x.C[:, 1] += 4
    if first.C is not x.C:
        first.C[:, 1] += 4
    assert torch.equal(result.C, kept)


def test_scenes_come_from_worker_processes() -> None:
    loader = torch.utils.data.DataLoader(Points(), batch_size=2, num_workers=1, collate_fn=sparse_collate_fn)
    here = torch.utils.data.DataLoader(Points(), batch_size=2, collate_fn=sparse_collate_fn)
    for batch, wanted in zip(loader, here, strict=True):
        assert torch.equal(batch["input"].C, wanted["input"].C)
        assert torch.equal(batch["label"].F, wanted["label"].F)
        assert spnn.Conv3d(4, 1)(batch["input"]).C is batch["input"].C


def initial_voxelize(points: torchsparse.PointTensor) -> SparseTensor:
    """The voxels of points, from keys and counts, as networks that mix points and voxels do it."""
    places = torch.floor(points.C).int()
    keys = F.sphash(places)
    different = torch.unique(keys)
    rows = F.sphashquery(keys, different)
    counts = F.spcount(rows.int(), len(different))
    coords = torch.round(F.spvoxelize(places.float(), rows, counts)).int()
    return SparseTensor(F.spvoxelize(points.F, rows, counts), coords)


def voxel_to_point(x: SparseTensor, points: torchsparse.PointTensor) -> Tensor:
    corners = F.sphash(torch.floor(points.C).int(), spnn.utils.get_kernel_offsets(2, 1, 1))
    rows = F.sphashquery(corners, F.sphash(x.C))
    weights = F.calc_ti_weights(points.C, rows).T.contiguous()
    return F.spdevoxelize(x.F, rows.T.contiguous(), weights)


def test_points_and_voxels() -> None:
    """By keys it is what `voxelize` and `devoxelize` do by searching."""
    torch.manual_seed(0)
    coords = torch.cat([torch.randint(0, 3, (200, 1)), 6 * torch.rand(200, 3) - 3], dim=1)
    points = torchsparse.PointTensor(torch.randn(200, 4), coords)
    x = initial_voxelize(points)
    wanted, _ = F.voxelize(points.F, coords)
    assert torch.equal(x.C, wanted.C)
    torch.testing.assert_close(x.F, wanted.F)
    points.C = coords + torch.tensor([0, 0.3, -0.4, 0.1])
    torch.testing.assert_close(voxel_to_point(x, points), F.devoxelize(x, points.C))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_a_u_net_under_autocast(dtype: torch.dtype) -> None:
    torch.manual_seed(0)
    network = SparseResUNet(4, [6], [4], in_channels=3)
    _, x = full_grid(1, [4, 4, 4], 3)
    with torch.autocast("cpu", dtype):
        result = network(x)[-1].F
    result.float().square().sum().backward()
    wanted = network(SparseTensor(x.F, x.C))[-1].F
    torch.testing.assert_close(result.float(), wanted, rtol=0.1, atol=0.1)
    assert all(parameter.grad is not None for parameter in network.parameters())
