"""Points to voxels and back, against sums by NumPy and torch's grid sampling; keys against dictionaries."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
import torch
from support.voxels import scene
from torch import Tensor

from zeroskip.model.sparseconv.collate import sparse_collate, sparse_collate_fn
from zeroskip.model.sparseconv.lookup import get_kernel_offsets, rows_at, spcount, sphash, sphashquery
from zeroskip.model.sparseconv.nn.functions import spdownsample
from zeroskip.model.sparseconv.quantize import sparse_quantize
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.voxels import calc_ti_weights, devoxelize, spdevoxelize, spvoxelize, voxelize


@pytest.mark.parametrize("seed", range(5))
def test_means_of_points(seed: int) -> None:
    random = np.random.default_rng(seed)
    feats, rows = random.normal(size=(40, 3)), random.integers(-1, 9, 40)
    rows[rows == 4] = 5  # a voxel without points
    wanted = np.stack([feats[rows == v].mean(axis=0) if (rows == v).any() else np.zeros(3) for v in range(9)])
    counts = spcount(torch.from_numpy(rows), 9)
    assert counts.tolist() == [int((rows == v).sum()) for v in range(9)]
    found = spvoxelize(torch.from_numpy(feats), torch.from_numpy(rows), counts)
    np.testing.assert_allclose(found.numpy(), wanted)
    leaf = torch.from_numpy(feats).requires_grad_()
    assert torch.autograd.gradcheck(lambda feats: spvoxelize(feats, torch.from_numpy(rows), counts), (leaf,))


def test_voxelize_points() -> None:
    points = torch.tensor([[0, 0.5, 1.5, -0.2], [1, 0.5, 1.5, -0.2], [0, 0.9, 1.0, -1.0], [0, 1.0, 1.5, -0.2]])
    feats = torch.tensor([[1.0], [10.0], [3.0], [100.0]])
    tensor, rows = voxelize(feats, points)
    assert tensor.coords.tolist() == [[0, 0, 1, -1], [0, 1, 1, -1], [1, 0, 1, -1]]
    assert tensor.feats.tolist() == [[2], [100], [10]]
    assert rows.tolist() == [0, 2, 0, 1]


@pytest.mark.parametrize("seed", range(10))
def test_devoxelize_as_grid_sample(seed: int) -> None:
    """Where all corners are there it is torch's trilinear sampling, gradients included."""
    random = torch.Generator().manual_seed(seed)
    extents = [3, 4, 5]
    coords = torch.tensor(list(product(range(2), *map(range, extents))))
    coords = coords[torch.randperm(len(coords), generator=random)]
    feats = torch.randn(len(coords), 2, generator=random, dtype=torch.float64, requires_grad=True)
    dense = torch.zeros(2, *extents, 2, dtype=torch.float64).index_put(tuple(coords.T), feats).movedim(-1, 1)
    inside = torch.rand(2, 30, 3, generator=random, dtype=torch.float64) * (torch.tensor(extents) - 1.001)
    # grid_sample names the last axis first, and counts from -1 to 1.
    grid = (2 * inside / (torch.tensor(extents) - 1) - 1).flip(-1)[:, None, None]
    wanted = torch.nn.functional.grid_sample(dense, grid, align_corners=True)[:, :, 0, 0].movedim(1, -1)
    points = torch.cat([torch.tensor([0.0, 1.0]).double()[:, None, None].expand(2, 30, 1), inside], dim=2)
    found = devoxelize(SparseTensor(feats, coords), points.flatten(0, 1))
    torch.testing.assert_close(found, wanted.flatten(0, 1), rtol=1e-7, atol=1e-7)
    weight = torch.randn(found.shape, generator=random, dtype=torch.float64)
    (gradient,) = torch.autograd.grad((found * weight).sum(), feats)
    (known,) = torch.autograd.grad((wanted.flatten(0, 1) * weight).sum(), feats)
    torch.testing.assert_close(gradient, known, rtol=1e-6, atol=1e-7)


def test_devoxelize_among_the_corners_that_are_there() -> None:
    """A point at 1/4 between two voxels of four: 3/4 and 1/4; with one of them alone: all of it."""
    coords = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0], [0, 5, 5, 5]])
    x = SparseTensor(torch.tensor([[4.0], [8.0], [2.0]]), coords)
    points = torch.tensor([[0, 0.25, 0, 0], [0, 4.5, 4.5, 4.75], [0, 9, 9, 9], [1, 0, 0, 0], [0, -0.5, 0.5, 0]])
    torch.testing.assert_close(devoxelize(x, points).flatten(), torch.tensor([5.0, 2, 0, 0, 4]), rtol=1e-6, atol=0)


def test_weights_in_torchsparses_order() -> None:
    """Corner 1 lies one step along z, corner 4 one along x; a corner without a voxel has no weight."""
    points = torch.tensor([[0.1, 0.2, 0.3], [7.0, 5.0, 4.0]])
    every = torch.zeros(8, 2, dtype=torch.int64)
    weights = calc_ti_weights(points, every)
    torch.testing.assert_close(weights[:, 0], torch.tensor([504, 216, 126, 54, 56, 24, 14, 6]) / 1000)
    assert weights[:, 1].tolist() == [1, 0, 0, 0, 0, 0, 0, 0]
    every[[0, 2, 3, 5, 6, 7], 0] = -1
    torch.testing.assert_close(calc_ti_weights(points, every)[:, 0] * 272, torch.tensor([0.0, 216, 0, 0, 56, 0, 0, 0]))
    batched = torch.cat([torch.tensor([[3.0], [1.0]]), points * 2], dim=1)
    torch.testing.assert_close(calc_ti_weights(batched, every, scale=2), calc_ti_weights(points, every))


def test_devoxelize_by_rows() -> None:
    feats = torch.randn(5, 2, dtype=torch.float64, requires_grad=True)
    rows = torch.tensor([[0, 3, -1], [4, -1, -1], [-1, -1, -1]])
    weights = torch.rand(3, 3, dtype=torch.float64, requires_grad=True)
    found = spdevoxelize(feats, rows, weights)
    wanted = torch.stack(
        [feats[0] * weights[0, 0] + feats[3] * weights[0, 1], feats[4] * weights[1, 0], torch.zeros(2).double()]
    )
    torch.testing.assert_close(found, wanted)
    assert torch.autograd.gradcheck(lambda feats, weights: spdevoxelize(feats, rows, weights), (feats, weights))


@pytest.mark.parametrize("count", [1, 60])
def test_rows_of_places(count: int) -> None:
    coords = scene(torch.Generator().manual_seed(count), [0, 3], [5, 5, 5], 0.5, least=-2)[:count]
    places = scene(torch.Generator().manual_seed(9), [0, 1, 3], [7, 7, 7], 1.0, least=-3)
    known = {tuple(row): number for number, row in enumerate(coords.tolist())}
    assert rows_at(places, coords).tolist() == [known.get(tuple(row), -1) for row in places.tolist()]
    assert rows_at(places, coords[:0]).eq(-1).all()


def test_keys_find_neighbours() -> None:
    coords = scene(torch.Generator().manual_seed(3), [0, 1], [4, 4, 4], 0.5, least=-2)
    keys, offsets = sphash(coords), get_kernel_offsets(3, dilation=2)
    assert len(keys.unique()) == len(coords)
    found = sphashquery(sphash(coords, offsets), keys)
    known = {tuple(row): number for number, row in enumerate(coords.tolist())}
    for row, offset in enumerate(offsets.tolist()):
        for number, (batch, *place) in enumerate(coords.tolist()):
            moved = (batch, *(here + step for here, step in zip(place, offset, strict=True)))
            assert found[row, number] == known.get(moved, -1)
    with pytest.raises(ValueError, match="from -32768 to 32767 for sphash, not from 0 to 40000"):
        sphash(torch.tensor([[0, 0, 0, 40000]]))


def test_offsets_in_the_order_of_weights() -> None:
    """As torchsparse: x fastest for an odd number of elements, z for an even one."""
    assert get_kernel_offsets(3)[:2].tolist() == [[-1, -1, -1], [0, -1, -1]]
    assert get_kernel_offsets(2, stride=4).tolist()[:2] == [[0, 0, 0], [0, 0, 4]]


def test_downsampled_coordinates() -> None:
    coords = torch.tensor([[0, 3, 3, 3], [0, 0, 1, 1], [0, 2, 3, 3], [1, 0, 1, 1]], dtype=torch.int32)
    assert spdownsample(coords).tolist() == [[0, 0, 0, 0], [0, 1, 1, 1], [1, 0, 0, 0]]


@pytest.mark.parametrize("seed", range(4))
def test_quantize(seed: int) -> None:
    """Each voxel once, with the row of its first point, and the voxel of each point."""
    random = np.random.default_rng(seed)
    points = random.normal(scale=2, size=(300, 3))
    before = points.copy()
    edges = (0.5, 1.0, 0.7)
    voxels, index, inverse = sparse_quantize(points, edges, return_index=True, return_inverse=True)
    floored = [tuple(int(np.floor(value / edge)) for value, edge in zip(row, edges, strict=True)) for row in points]
    assert voxels.dtype == np.int32
    assert list(map(tuple, voxels.tolist())) == sorted(set(floored))
    assert [floored[row] for row in index] == sorted(set(floored))
    assert all(floored.index(floored[row]) == row for row in index)
    assert [tuple(voxels[row]) for row in inverse] == floored
    assert np.array_equal(points, before)
    assert np.array_equal(sparse_quantize(torch.from_numpy(points), 0.5), sparse_quantize(points, 0.5))


def test_collate() -> None:
    """Scenes may reach below zero; labels ride along, several for one voxel."""
    scenes = [torch.tensor([[-3, 0, 1], [2, 0, 0]]), torch.tensor([[5, 5, 5]]), torch.zeros(0, 3, dtype=torch.int32)]
    samples = [
        {
            "input": SparseTensor(torch.full((len(coords), 2), float(number)), coords, 2),
            "label": SparseTensor(np.arange(len(coords)), np.zeros((len(coords), 3), dtype=np.int32)),
            "inner": {"array": np.ones(2)},
            "name": f"scene {number}",
        }
        for number, coords in enumerate(scenes)
    ]
    batch = sparse_collate_fn(samples)
    assert batch["input"].coords.tolist() == [[0, -3, 0, 1], [0, 2, 0, 0], [1, 5, 5, 5]]
    assert batch["input"].feats.tolist() == [[0, 0], [0, 0], [1, 1]]
    assert batch["input"].stride == (2, 2, 2)
    assert batch["label"].feats.tolist() == [0, 1, 0]
    assert batch["inner"]["array"].shape == (3, 2)
    assert batch["name"] == ["scene 0", "scene 1", "scene 2"]
    assert sparse_collate_fn(scenes) is scenes


def tensor(stride: int = 1, columns: int = 3, channels: int = 2) -> SparseTensor:
    return SparseTensor(torch.zeros(1, channels), torch.zeros(1, columns, dtype=torch.int32), stride)


FEATS, ROWS = torch.zeros(3, 2), torch.zeros(3, dtype=torch.int64)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: sparse_collate([]), ValueError, "at least one tensor"),
        (lambda: sparse_collate([tensor(), tensor(2)]), ValueError, "strides must be equal"),
        (lambda: sparse_collate([tensor(), tensor(channels=3)]), ValueError, "as many columns"),
        (lambda: sparse_quantize([[0.0, float("nan"), 0.0]]), ValueError, "must be finite"),
        (lambda: sparse_quantize([[0.0, 1e12, 0.0]]), ValueError, "fit into int32"),
        (lambda: sparse_quantize([[0.0, 1.0, 0.0]], 0), ValueError, "larger than 0, not 0"),
        (lambda: sparse_quantize([[0.0, 1.0, 0.0]], (1, 2)), ValueError, "one for each of 3 axes"),
        (lambda: sparse_quantize([0.0, 1.0]), ValueError, r"\(points, axes\)"),
        (lambda: spvoxelize(FEATS, ROWS[:2], ROWS), ValueError, r"coords must be \(3,\)"),
        (lambda: spvoxelize(FEATS, ROWS + 3, ROWS), ValueError, "rows below 3, or -1 for none, not 3"),
        (lambda: spvoxelize(FEATS.long(), ROWS, ROWS), TypeError, "floats, not torch.int64"),
        (lambda: spdevoxelize(FEATS, ROWS[:, None], FEATS), ValueError, "must both be"),
        (lambda: spdevoxelize(FEATS, ROWS[:, None] + 7, FEATS[:, :1]), ValueError, "rows below 3"),
        (lambda: calc_ti_weights(FEATS, ROWS), ValueError, r"\(points, 3\)"),
        (lambda: calc_ti_weights(torch.full((2, 4), 0.5), torch.zeros(8, 2)), ValueError, "must be whole"),
        (lambda: calc_ti_weights(torch.zeros(2, 3), torch.zeros(2, 8)), ValueError, r"must be \(8, 2\)"),
        (lambda: devoxelize(tensor(columns=4), FEATS), ValueError, r"points must be \(points, 4\)"),
        (lambda: devoxelize(tensor(columns=4), torch.full((1, 4), float("inf"))), ValueError, "must be finite"),
        (lambda: devoxelize(tensor(columns=4), torch.full((1, 4), 0.5)), ValueError, "must be whole"),
        (lambda: voxelize(FEATS, torch.zeros(2, 4)), ValueError, "one for each row of feats"),
        (lambda: sphash(torch.zeros(2, 4)), TypeError, "must be integers"),
        (lambda: rows_at(ROWS[:, None], torch.zeros(2, 3)), ValueError, "the 3 columns of coords"),
    ],
)  # fmt: skip
def test_one_clear_error(call: object, error: type[Exception], message: str) -> None:
    assert callable(call)
    with pytest.raises(error, match=message):
        call()


def test_narrow_floats_are_summed_in_float32() -> None:
    """The sum is larger than any float16; the mean is not."""
    feats = torch.full((4096, 1), 100, dtype=torch.float16)
    rows: Tensor = torch.zeros(4096, dtype=torch.int64)
    assert spvoxelize(feats, rows, spcount(rows, 1)).tolist() == [[100]]
    corners, weights = torch.zeros(1, 1000, dtype=torch.int64), torch.full((1, 1000), 0.001)
    assert spdevoxelize(torch.tensor([[2048.0]]).half(), corners, weights).tolist() == [[2048]]
