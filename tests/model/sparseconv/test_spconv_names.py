"""What networks for spconv take from its modules, beside the layers: names, branches, sums, and other voxels."""

from __future__ import annotations

import copy
import importlib
import pickle
from collections.abc import Callable

import pytest
import torch
from support.voxels import scene
from torch import Tensor, nn

import zeroskip.sparseconv.spconv.pytorch as spconv

SHAPE = [9, 8, 7]
NAMES = {
    "": "SparseConvTensor SubMConv3d Identity AddTable ConcatTable JoinTable functional modules ops",
    "modules": "SparseModule SparseSequential SparseBatchNorm SparseReLU SparseIdentity is_spconv_module "
    "is_sparse_conv",
    "functional": "sparse_add sparse_add_hash_based",
    "core": "SparseConvTensor",
    "ops": "ConvAlgo",
    "conv": "SparseConvolution SubMConv2d SparseInverseConv3d SparseConvTranspose3d",
    "pool": "SparseMaxPool3d SparseAvgPool3d SparseGlobalMaxPool SparseGlobalAvgPool",
    "tables": "AddTable AddTableMisaligned ConcatTable JoinTable",
    "identity": "Identity",
    "utils": "PointToVoxel gather_features_by_pc_voxel_id",
    "hash": "",
}
"""What networks for spconv 2.3 take from each module of spconv.pytorch."""


def cloud(seed: int = 0, share: float = 0.3) -> spconv.SparseConvTensor:
    random = torch.Generator().manual_seed(seed)
    coords = scene(random, [0, 1], SHAPE, share)
    feats = torch.randn(len(coords), 4, generator=random, dtype=torch.float64, requires_grad=True)
    return spconv.SparseConvTensor(feats, coords, SHAPE, 2)


@pytest.mark.parametrize("module", NAMES)
def test_names(module: str) -> None:
    found = importlib.import_module("zeroskip.sparseconv.spconv.pytorch" + (f".{module}" if module else ""))
    assert [name for name in NAMES[module].split() if not hasattr(found, name)] == []


def test_the_missing_hash_table_says_what_to_use() -> None:
    with pytest.raises(ImportError, match=r"HashTable is not part of zeroskip.sparseconv: .*rows_at"):
        from zeroskip.sparseconv.spconv.pytorch.hash import HashTable  # noqa: F401


def test_modules_that_take_the_tensor() -> None:
    takes = spconv.modules.is_spconv_module
    whole: list[nn.Module] = [spconv.SubMConv3d(4, 4, 3), spconv.SparseSequential(), spconv.SparseReLU()]
    assert all(map(takes, [*whole, spconv.ToDense(), spconv.ConcatTable(), spconv.SparseMaxPool3d(2)]))
    assert not any(map(takes, [nn.Linear(4, 4), nn.BatchNorm1d(4), spconv.Identity()]))
    assert spconv.modules.is_sparse_conv(spconv.SparseInverseConv3d(4, 4, 3))
    assert not spconv.modules.is_sparse_conv(spconv.SparseMaxPool3d(2))


def test_branches() -> None:
    torch.manual_seed(0)
    x = cloud()
    first, second = spconv.SubMConv3d(4, 5, 3).double(), spconv.SubMConv3d(4, 5, 1).double()
    table = spconv.ConcatTable().add(first).add(second)
    wanted = first(x).features, second(x).features
    joined = spconv.SparseSequential(table, spconv.JoinTable())(x)
    assert torch.equal(joined.features, torch.cat(wanted, dim=1))
    added = spconv.SparseSequential(table, spconv.AddTable())(x)
    assert torch.equal(added.features, wanted[0] + wanted[1])
    assert added.indices is x.indices
    assert [name for name, _ in table.named_parameters()] == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert torch.equal(spconv.SparseSequential(spconv.Identity())(x).features, x.features)
    for join in (spconv.JoinTable(), spconv.AddTable()):
        with pytest.raises(ValueError, match="must be equal and in the same order"):
            join([x, cloud(seed=1)])


def test_sums_of_tensors_with_different_voxels() -> None:
    x, other = cloud(), cloud(seed=1)
    for add in (spconv.functional.sparse_add, spconv.functional.sparse_add_hash_based):
        y = add(x, other, x)
        torch.testing.assert_close(y.dense(), 2 * x.dense() + other.dense())
        assert len(y.indices) == int((x.dense().abs().sum(1) + other.dense().abs().sum(1) > 0).sum())
    assert torch.equal(spconv.AddTableMisaligned()([x, other]).dense(), x.dense() + other.dense())
    weight = torch.randn(y.dense().shape, dtype=torch.float64)
    gradients = torch.autograd.grad((y.dense() * weight).sum(), (x.features, other.features))
    wanted = torch.autograd.grad(((2 * x.dense() + other.dense()) * weight).sum(), (x.features, other.features))
    torch.testing.assert_close(gradients, wanted)
    with pytest.raises(ValueError, match="the number of channels must be equal for all tensors of a sum, not 4, 2"):
        spconv.functional.sparse_add(x, x.replace_feature(x.features[:, :2]))


def test_a_sum_onto_all_voxels_can_be_undone() -> None:
    """spconv keeps the maps where one of the tensors has every voxel of the sum."""
    torch.manual_seed(0)
    x = cloud()
    down = spconv.SparseConv3d(4, 4, 3, 2, indice_key="down").double()(x)
    some = down.select_by_index(torch.arange(0, len(down.indices), 2))
    y = spconv.functional.sparse_add(some, down)
    assert torch.equal(y.indices, down.indices)
    up = spconv.SparseInverseConv3d(4, 3, 3, indice_key="down").double()(y)
    assert torch.equal(up.indices, x.indices)


def test_selected_rows() -> None:
    x = cloud()
    mask = x.features[:, 0] > 0
    for chosen in (mask, torch.nonzero(mask).flatten()):
        y = x.select_by_index(chosen)
        assert torch.equal(y.dense(), x.dense() * (x.dense()[:, :1] > 0))
        assert y.indice_dict == {}


def test_levels_joined_into_one_tensor() -> None:
    """As VoxelNeXt joins its last three levels: more features first, then their indices."""
    torch.manual_seed(0)
    x = cloud()
    spconv.SubMConv3d(4, 4, 3).double()(x)  # its map must not be taken for the joined voxels
    down = spconv.SparseConv3d(4, 4, 3, 2, padding=1).double()(x)
    absent = x.dense().abs().sum(1)[tuple((down.indices * torch.tensor([1, 2, 2, 2])).long().T)] == 0
    finer = down.select_by_index(absent)
    joined = x.replace_feature(torch.cat([x.features, finer.features]))
    with pytest.raises(ValueError, match="as many rows"):
        spconv.SubMConv3d(4, 4, 3).double()(joined)
    joined.indices = torch.cat([x.indices, finer.indices * torch.tensor([1, 2, 2, 2], dtype=torch.int32)])
    dense = x.dense()
    dense[:, :, ::2, ::2, ::2] += finer.dense()
    torch.testing.assert_close(joined.dense(), dense, rtol=0, atol=0)
    layer = spconv.SubMConv3d(4, 3, 3, bias=False).double()
    wanted = torch.conv3d(dense, layer.weight.movedim(-1, 1), padding=1)
    places = joined.indices.long().T
    torch.testing.assert_close(layer(joined).features, wanted.movedim(1, -1)[tuple(places)])
    joined.indices = torch.cat([x.indices, x.indices[: len(finer.indices)]])
    with pytest.raises(ValueError, match="coordinates must differ"):
        layer(joined)


@pytest.mark.parametrize("indices", [torch.zeros(3, 4), torch.zeros(3, 3, dtype=torch.int32)])
def test_wrong_indices(indices: Tensor) -> None:
    with pytest.raises(ValueError, match=r"indices must be integers \(N, 4\), the batch index first"):
        cloud().indices = indices


def test_a_submanifold_layer_of_one_element_ignores_its_stride() -> None:
    torch.manual_seed(0)
    x = cloud()
    layer = spconv.SubMConv3d(4, 3, kernel_size=1, stride=2).double()
    y = layer(x)
    assert y.indices is x.indices
    assert y.spatial_shape == SHAPE
    # spconv reads the weight of a submanifold layer of one element as (in, out), whatever its stride is.
    torch.testing.assert_close(y.features, x.features @ layer.weight.view(4, 3) + layer.bias)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda tensor: pickle.loads(pickle.dumps(tensor))])
def test_a_copy_can_be_undone(copied: Callable[[spconv.SparseConvTensor], spconv.SparseConvTensor]) -> None:
    """A copy, in this process or sent from another, has the maps by name, whether they were turned round or not."""
    torch.manual_seed(0)
    x = cloud()
    down = spconv.SparseConv3d(4, 4, 3, 2, 1, indice_key="down").double()(x)
    down = down.replace_feature(down.features.detach())
    up = spconv.SparseInverseConv3d(4, 4, 3, indice_key="down").double()
    wanted = up(down)
    result = up(copied(down))
    assert torch.equal(result.features, wanted.features)
    assert torch.equal(result.indices, x.indices)
