"""Sparse tensors and layers refuse what would give a wrong sum, and take what they can."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from support.voxels import by_pairs, scene
from torch import Tensor

from zeroskip.model.sparseconv.collate import sparse_collate
from zeroskip.model.sparseconv.functional import conv, conv3d
from zeroskip.model.sparseconv.keys import KeyLayout
from zeroskip.model.sparseconv.operators import cat, spcrop
from zeroskip.model.sparseconv.pooling import max_pool
from zeroskip.model.sparseconv.tensor import SparseTensor

COORDS = torch.tensor([[0, 0, 0, 0], [0, 1, 0, 0], [2, 5, 5, 5]], dtype=torch.int32)
FEATS = torch.arange(6.0).reshape(3, 2)


def weight(volume: int = 27, channels: int = 2, out_channels: int = 3) -> torch.Tensor:
    return torch.randn(volume, channels, out_channels, generator=torch.Generator().manual_seed(0))


def tensor(stride: int = 1) -> SparseTensor:
    return SparseTensor(FEATS, COORDS, stride)


def with_rows(count: int) -> SparseTensor:
    """Features set to others, fewer or more than there are voxels."""
    changed = tensor()
    changed.feats = torch.ones(count, 2)
    return changed


def small_integers() -> SparseTensor:
    return SparseTensor(FEATS.to(torch.int8), COORDS)


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: SparseTensor(FEATS, COORDS[[0, 1, 0]]), ValueError, r"rows 0 and 2 are both \[0, 0, 0, 0\]"),
        (lambda: SparseTensor(FEATS[:2], COORDS), ValueError, "as many rows, not 2 and 3"),
        (lambda: SparseTensor(FEATS, COORDS.float()), TypeError, "must be integers .* not torch.float32"),
        (lambda: SparseTensor(FEATS, COORDS.bool()), TypeError, "must be integers"),
        (lambda: SparseTensor(FEATS.to(torch.complex64), COORDS), TypeError, "not torch.complex64"),
        (lambda: SparseTensor(FEATS[:, 0], COORDS), ValueError, r"feats must be \(N, channels\)"),
        (lambda: SparseTensor(FEATS, COORDS[:, :1]), ValueError, "1 to 4 axes"),
        (lambda: SparseTensor(FEATS, COORDS[:, 0]), ValueError, "1 to 4 axes"),
        (lambda: SparseTensor(FEATS, COORDS - torch.tensor([1, 0, 0, 0])), ValueError, "must not be negative, not -1"),
        (lambda: SparseTensor(FEATS, COORDS.long() * 2**40), ValueError, "must fit into int32"),
        (lambda: SparseTensor(FEATS, COORDS * 400_000_000), ValueError, "pack into 63 bits"),
        (lambda: SparseTensor(FEATS, COORDS, 0), ValueError, "stride must be at least 1, not 0"),
        (lambda: SparseTensor(FEATS, COORDS, (1, 2)), ValueError, "stride must have 3 entries"),
        (lambda: SparseTensor(FEATS, COORDS, 1.5), TypeError, "stride must be an integer"),  # type: ignore[arg-type]
        (lambda: SparseTensor(FEATS, COORDS, 1, (3, 5, 9, 9)), ValueError, "axis 1 must lie from 0 to 4"),
        (lambda: SparseTensor(FEATS, COORDS, 1, (2, 9, 9, 9)), ValueError, "batch indices must lie from 0 to 1"),
        (lambda: SparseTensor(FEATS, COORDS).dense(), ValueError, "needs the size"),
        (lambda: tensor() + tensor(2), ValueError, "strides must be equal"),
        (lambda: tensor() + SparseTensor(FEATS, COORDS + 1), ValueError, "must be equal and in the same order"),
        (lambda: tensor() + SparseTensor(FEATS, COORDS.flip(0)), ValueError, "must be equal and in the same order"),
        (lambda: tensor().with_feats(FEATS[:1]), ValueError, "as many rows"),
        (lambda: conv3d(tensor(), weight(8), 3), ValueError, r"weight must be \(27,"),
        (lambda: conv3d(tensor(), weight(27, 4), 3), ValueError, "the 4 channels that weight takes, not 2"),
        (lambda: conv3d(tensor(), weight().half(), 3), TypeError, "the same type, not torch.float32 and torch.float16"),
        (lambda: conv3d(tensor(), weight(), 3, torch.zeros(2)), ValueError, r"bias must be \(3,\)"),
        (lambda: conv3d(small_integers(), weight().char(), 3, torch.full((3,), 0.7)), TypeError, r"integers \(int32\)"),
        (lambda: tensor() + with_rows(1), ValueError, "as many rows, not 1 and 3"),
        (lambda: with_rows(1) + tensor(), ValueError, "as many rows, not 1 and 3"),
        (lambda: cat([tensor(), with_rows(1)]), ValueError, "as many rows, not 1 and 3"),
        (lambda: spcrop(with_rows(2), [0, 0, 0]), ValueError, "as many rows, not 2 and 3"),
        (lambda: sparse_collate([with_rows(2), with_rows(4)]), ValueError, "as many rows, not 2 and 3"),
        (lambda: conv3d(tensor(), weight(), 3, dilation=0), ValueError, "dilation must be at least 1"),
        (lambda: conv3d(tensor(), weight(), 3, padding=-1), ValueError, "padding must be at least 0"),
        (lambda: conv3d(tensor(), weight(), 3, stride=2, convention="dense"), ValueError, "one of spconv, minkowski"),
        (lambda: conv3d(tensor(2), weight(8), 2, stride=2, transposed=True), ValueError, "must undo a strided one"),
        (lambda: conv3d(tensor(3), weight(8), 2, stride=2, transposed=True), ValueError, "must divide the tensor's"),
        (lambda: conv3d(tensor(), weight(8), 2, stride=2, generative=True), ValueError, "with transposed=True"),
        (
            lambda: conv3d(tensor(), weight(), 3, stride=2, padding=2, convention="minkowski"),
            ValueError,
            r"padding must be 0 or \(1, 1, 1\)",
        ),
        (lambda: conv3d(SparseTensor(FEATS, COORDS[:, :3]), weight(9), 3), ValueError, "3 axes, not 2"),
    ],
)  # fmt: skip
def test_one_clear_error(make: Callable[[], object], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        make()


def test_a_map_of_other_coordinates_is_not_used() -> None:
    """Two branches reach the same tensor stride with other voxels; each has its own map."""
    coords = scene(torch.Generator().manual_seed(1), [0], [6, 6, 6], 0.2)
    fine = SparseTensor(torch.randn(len(coords), 2), coords)
    first = conv(fine, weight(27), 3, stride=2)
    second = conv(fine, weight(8), 2, stride=2)
    assert len(first) != len(second)
    for branch in (first, second):
        alone = SparseTensor(branch.feats, branch.coords, branch.stride)
        assert torch.equal(conv(branch, weight(27, 3), 3).feats, conv(alone, weight(27, 3), 3).feats)
    # None of kernel size 3 has made the voxels of the second branch.
    with pytest.raises(ValueError, match="must undo a strided one"):
        conv(second, weight(27, 3), 3, stride=2, transposed=True)


def test_layers_with_other_rules_have_other_maps() -> None:
    """They have kernel size, stride and dilation in common, which the cache is keyed by."""
    coords = scene(torch.Generator().manual_seed(8), [0, 1], [7, 7, 7], 0.3)
    feats, kernel = torch.randn(len(coords), 2), weight()
    shared = SparseTensor(feats, coords)
    layers = [
        {"stride": 2, "padding": 1},
        {"stride": 2, "padding": 2},
        {"stride": 2, "convention": "minkowski"},
        {"submanifold": False, "padding": 1},
        {"submanifold": True},
        {"stride": 2, "padding": 1},
    ]
    for layer in layers:
        own = conv(SparseTensor(feats, coords.clone()), kernel, 3, **layer)
        result = conv(shared, kernel, 3, **layer)
        assert torch.equal(result.coords, own.coords)
        assert torch.equal(result.feats, own.feats)


def test_dense_transposed_layers_have_their_own_range() -> None:
    """Torch's: (extent - 1) * stride - 2 * padding + size, whatever the levels that the network knows."""
    coords = scene(torch.Generator().manual_seed(9), [0], [5, 6], 0.5)
    tensor = SparseTensor(torch.randn(len(coords), 2), coords, spatial_range=(1, 5, 6))
    rule = {"padding": 1, "submanifold": False, "convention": "spconv"}
    conv(tensor, torch.randn(4, 2, 2), 2, **rule)
    result = conv(tensor, torch.randn(4, 2, 2), 2, transposed=True, generative=True, **rule)
    assert result.spatial_range == (
        1,
        *torch.conv_transpose2d(torch.ones(1, 5, 6), torch.ones(1, 1, 2, 2), padding=1).shape[1:],
    )


def test_transposed_undoes_the_layer_of_the_same_rule() -> None:
    """Both strided layers make the same voxels, through other elements of the kernel."""
    coords = torch.cartesian_prod(torch.tensor([0]), *[torch.arange(6)] * 2).int()
    feats, kernel = torch.randn(36, 2), torch.randn(16, 2, 2)
    fine = SparseTensor(feats, coords)
    rules = [{"padding": 1, "convention": "spconv"}, {"padding": 0, "convention": "minkowski"}]
    both = [conv(fine, kernel, 4, stride=2, **rule) for rule in rules]
    assert torch.equal(both[0].coords, both[1].coords)
    for rule, coarse in zip(rules, both, strict=True):
        alone = conv(SparseTensor(feats, coords.clone()), kernel, 4, stride=2, **rule)
        own = conv(alone, kernel, 4, stride=2, transposed=True, **rule)
        assert torch.equal(conv(coarse, kernel, 4, stride=2, transposed=True, **rule).feats, own.feats)


def by_index(coords: Tensor, rows: Tensor) -> None:
    coords[:] = rows


def by_numpy(coords: Tensor, rows: Tensor) -> None:
    coords.numpy()[:] = rows.numpy()


def by_data(coords: Tensor, rows: Tensor) -> None:
    coords.data[:] = rows


def by_other_data(coords: Tensor, rows: Tensor) -> None:
    coords.data = rows.T.contiguous().T


CHANGES = [by_index, by_numpy, by_data, by_other_data]


def wanted_at(coords: Tensor) -> Tensor:
    return by_pairs(FEATS, coords, coords, weight(), [3] * 3, [1] * 3, [1] * 3, [-1] * 3)


@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("again", [False, True])
def test_changed_coordinates_have_new_maps(change: Callable[[Tensor, Tensor], None], again: bool) -> None:
    """Also where torch's counter of changes misses them, in the old tensor and in a new one of the same coordinates."""
    coords = COORDS.clone()
    tensor = SparseTensor(FEATS, coords)
    torch.testing.assert_close(conv(tensor, weight(), 3).feats, wanted_at(COORDS))
    rows = torch.tensor([[0, 5, 5, 5], [1, 0, 0, 0], [0, 5, 5, 6]], dtype=torch.int32)
    change(coords, rows)
    if again:
        tensor = SparseTensor(FEATS, coords)
    torch.testing.assert_close(conv(tensor, weight(), 3).feats, wanted_at(rows))


@pytest.mark.parametrize("change", CHANGES)
def test_rows_made_equal_are_refused(change: Callable[[Tensor, Tensor], None]) -> None:
    coords = COORDS.clone()
    conv(SparseTensor(FEATS, coords), weight(), 3)
    change(coords, COORDS[[0, 0, 2]])
    with pytest.raises(ValueError, match="rows 0 and 1 are both"):
        SparseTensor(FEATS, coords)


@pytest.mark.parametrize("change", CHANGES)
def test_changed_outputs_of_a_map_are_not_given_again(change: Callable[[Tensor, Tensor], None]) -> None:
    """The coordinates of a result are those of its map, which the next layer of the same kind finds in the cache."""
    tensor = SparseTensor(FEATS, COORDS.clone())
    down = conv(tensor, weight(8, 2), 2, stride=2)
    made = down.coords.clone()
    change(down.coords, made + 1)
    assert torch.equal(conv(tensor, weight(8, 2), 2, stride=2).coords, made)


@pytest.mark.parametrize("change", CHANGES)
def test_a_transposed_layer_needs_the_voxels_that_it_goes_back_to(change: Callable[[Tensor, Tensor], None]) -> None:
    coords = COORDS.clone()
    down = conv(SparseTensor(FEATS, coords), weight(8, 2), 2, stride=2)
    change(coords, COORDS.flip(0))
    with pytest.raises(ValueError, match="or they or those of its input were changed since"):
        conv(down, weight(8, 3), 2, stride=2, transposed=True)


@pytest.mark.parametrize(
    "layer",
    [
        lambda x: conv(x, weight(), 3, stride=2),
        lambda x: conv(x, weight(), 3, stride=2, padding=1),
        lambda x: conv(x, weight(), 3),
        lambda x: conv(x, weight(), 3, stride=2, convention="minkowski"),
        lambda x: max_pool(x, 3, 2),
    ],
)
def test_a_changed_spatial_range_has_new_maps(layer: Callable[[SparseTensor], SparseTensor]) -> None:
    """Where the outputs are depends on it: kernels over the border of the old range lie within the new one."""
    changed = SparseTensor(FEATS, COORDS, spatial_range=(3, 6, 6, 6))
    layer(changed)
    changed.spatial_range = (3, 20, 20, 20)
    result = layer(changed)
    fresh = layer(SparseTensor(FEATS, COORDS.clone(), spatial_range=(3, 20, 20, 20)))
    assert result.spatial_range == fresh.spatial_range
    assert torch.equal(result.coords, fresh.coords)
    assert torch.equal(result.feats, fresh.feats)


def test_generated_voxels_lie_in_the_range_of_their_own_scene() -> None:
    """Not in one that the same tensor had before, with other voxels."""
    changed = SparseTensor(FEATS, COORDS, spatial_range=(3, 6, 6, 6))
    conv(changed, weight(8, 2, 2), 2, stride=2)
    changed.spatial_range = None
    changed.coords = COORDS * torch.tensor([1, 3, 3, 3], dtype=torch.int32)
    changed.spatial_range = (3, 17, 17, 17)
    coarse = conv(changed, weight(8, 2, 2), 2, stride=2)
    made = conv(coarse, weight(8, 2, 2), 2, stride=2, transposed=True, generative=True)
    wanted = conv(SparseTensor(coarse.feats, coarse.coords, 2), weight(8, 2, 2), 2, stride=2, transposed=True,
                  generative=True)  # fmt: skip
    assert made.spatial_range == (3, 17, 17, 17)
    assert torch.equal(made.coords, wanted.coords)


def test_biases_of_int8_layers_are_integers() -> None:
    kernel = weight().mul(10).to(torch.int8)
    bias = torch.tensor([1, -2, 300], dtype=torch.int32)
    sums = conv(small_integers(), kernel, 3).feats
    assert torch.equal(conv(small_integers(), kernel, 3, bias).feats, sums + bias)


@pytest.mark.parametrize("inference", [False, True])
def test_coordinates_changed_in_place_have_new_maps(inference: bool) -> None:
    """In inference mode, too, where torch does not count changes."""
    with torch.inference_mode(inference):
        coords = COORDS.clone()
        before = SparseTensor(FEATS, coords)
        conv(before, weight(), 3)
        coords[2] = torch.tensor([0, 2, 0, 0])
        fresh = conv(SparseTensor(FEATS, coords.clone()), weight(), 3)
        assert torch.equal(conv(before, weight(), 3).feats, fresh.feats)


@pytest.mark.parametrize("dtype", [torch.int64, torch.int16])
def test_columns_of_nonzero_and_other_integers(dtype: torch.dtype) -> None:
    """`torch.nonzero(...).int()` is not contiguous: its rows would be read as other voxels."""
    mask = torch.rand(2, 4, 4, 4, generator=torch.Generator().manual_seed(2)) < 0.4
    columns = torch.nonzero(mask).T.contiguous().to(dtype).T
    assert not columns.is_contiguous()
    feats = torch.randn(2, len(columns)).T
    result = conv(SparseTensor(feats, columns), weight(), 3)
    wanted = by_pairs(feats, columns, columns, weight(), [3] * 3, [1] * 3, [1] * 3, [-1] * 3)
    torch.testing.assert_close(result.feats, wanted)


@pytest.mark.parametrize(("stride", "transposed"), [(1, False), (2, False), (2, True)])
def test_no_voxels(stride: int, transposed: bool) -> None:
    nothing = SparseTensor(torch.zeros(0, 2), torch.zeros(0, 4, dtype=torch.int32), stride=2)
    kernel = weight().requires_grad_()
    result = conv(nothing, kernel, 3, stride=stride, transposed=transposed, generative=transposed)
    assert result.feats.shape == (0, 3)
    result.feats.sum().backward()
    assert kernel.grad is not None
    assert not kernel.grad.any()


def test_strided_centre_is_not_the_identity() -> None:
    """As many outputs as inputs do not make a layer submanifold: torchsparse 2.1 gives [1, 10] here."""
    coords = torch.tensor([[0, 0], [0, 3]], dtype=torch.int32)
    feats = torch.tensor([[1.0], [10.0]])
    kernel = torch.tensor([0.0, 1.0, 0.0]).reshape(3, 1, 1)
    dense = torch.zeros(1, 1, 4)
    dense[0, 0, [0, 3]] = feats[:, 0]
    wanted = torch.conv1d(dense, torch.tensor([[[0.0, 1.0, 0.0]]]), stride=3, padding=1)
    result = conv(SparseTensor(feats, coords), kernel, 3, stride=3, padding=1)
    assert result.coords.tolist() == [[0, 0], [0, 1]]
    assert torch.equal(result.feats[:, 0], wanted[0, 0])


def test_every_row_keeps_its_batch() -> None:
    """torchsparse 1.4 takes the batch of the first row for all."""
    coords = torch.tensor([[0, 1, 1, 1], [3, 1, 1, 2], [1, 1, 1, 1], [3, 1, 1, 1]], dtype=torch.int32)
    result = conv(SparseTensor(torch.ones(4, 1), coords), torch.ones(27, 1, 1), 3)
    assert result.feats[:, 0].tolist() == [1, 2, 1, 2]


def test_dilation_is_not_ignored() -> None:
    """torchsparse gives the same result for every dilation."""
    coords = torch.tensor([[0, 0], [0, 1], [0, 2]], dtype=torch.int32)
    feats = torch.tensor([[1.0], [10.0], [100.0]])
    result = conv(SparseTensor(feats, coords), torch.ones(3, 1, 1), 3, dilation=2)
    assert result.feats[:, 0].tolist() == [101, 10, 101]


def test_sums_of_int8_are_int32() -> None:
    generator = torch.Generator().manual_seed(4)
    coords = scene(generator, [0, 2], [5, 5, 5], 0.5)
    feats = torch.randint(-128, 128, (len(coords), 40), generator=generator, dtype=torch.int8)
    kernel = torch.randint(-128, 128, (27, 40, 5), generator=generator, dtype=torch.int8)
    result = conv(SparseTensor(feats, coords), kernel, 3)
    wanted = conv(SparseTensor(feats.double(), coords), kernel.double(), 3)
    assert result.feats.dtype is torch.int32
    assert torch.equal(result.feats.double(), wanted.feats)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_narrow_floats_are_summed_in_float32(dtype: torch.dtype) -> None:
    """The sum is rounded once: it is the float64 sum of the same operands, within a rounding of the type."""
    generator = torch.Generator().manual_seed(4)
    coords = scene(generator, [0], [6, 6, 6], 0.9)
    feats = torch.randn(len(coords), 32, generator=generator).to(dtype)
    kernel = torch.randn(27, 32, 4, generator=generator).to(dtype)
    result = conv(SparseTensor(feats, coords), kernel, 3).feats
    wanted = conv(SparseTensor(feats.double(), coords), kernel.double(), 3).feats
    assert result.dtype is dtype
    torch.testing.assert_close(result.double(), wanted, rtol=torch.finfo(dtype).eps * 0.6, atol=1e-3)


def test_autocast_takes_its_type() -> None:
    with torch.autocast("cpu", torch.bfloat16):
        assert conv(tensor(), weight(), 3).feats.dtype is torch.bfloat16


def test_keys_are_ordered_as_coordinates() -> None:
    coords = scene(torch.Generator().manual_seed(6), [0, 1, 5], [3, 4, 5, 6], 0.7, least=-2)
    layout = KeyLayout.spanning([0, -2, -2, -2, -2], [5, 3, 3, 3, 4])
    keys = layout.pack(coords)
    assert coords[keys.argsort()].tolist() == sorted(coords.tolist())
    assert torch.equal(layout.unpack(keys), coords)
    moved = coords[(coords[:, 1] < 3) & (coords[:, 4] > -2)]
    assert torch.equal(
        layout.pack(moved) + layout.step((0, 1, 0, 0, -1)), layout.pack(moved + torch.tensor([0, 1, 0, 0, -1]))
    )


def test_all_63_bits_of_a_key() -> None:
    least, largest = (0, -(2**15), 0, 0), (2**15 - 1, 2**15 - 1, 2**16 - 1, 2**16 - 1)
    layout = KeyLayout.spanning(least, largest)
    corners = torch.tensor([least, largest])
    assert layout.pack(corners).tolist() == [0, 2**63 - 1]
    assert torch.equal(layout.unpack(layout.pack(corners)), corners.int())
