"""Several positions of a convolution in one start: the same outputs in every bit, from a matrix by hand and from
torch's convolutions."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from support.networks import random_inputs, small_conv_network
from torch.nn import functional as F

from zeroskip.model.eie import bundle, cycles, golden
from zeroskip.model.eie.bundle import FitError
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.lay_out import relaid
from zeroskip.model.eie.storage import storage
from zeroskip.model.eie.tiles import Grid, in_tiles, of_one_position, one_by_one
from zeroskip.model.network.container import BundleError
from zeroskip.model.network.stages import ConvStage

SIZES = st.tuples(st.integers(1, 4), st.integers(1, 4))


def test_the_matrix_by_hand() -> None:
    """A kernel of one row at two positions, two values apart; and of two channels at two positions below each other."""
    across = ConvStage(layer=0, channels=1, height=1, width=5, kernel=(1, 3), stride=(1, 2), padding=(0, 0))
    matrix = Grid.of(across).matrix(np.array([[1, 2, 3], [4, 5, 6]]), (1, 2))
    assert matrix.tolist() == [[1, 2, 3, 0, 0], [4, 5, 6, 0, 0], [0, 0, 1, 2, 3], [0, 0, 4, 5, 6]]
    down = ConvStage(layer=0, channels=2, height=3, width=1, kernel=(2, 1), stride=(1, 1), padding=(0, 0))
    matrix = Grid.of(down).matrix(np.array([[1, 2, 3, 4]]), (2, 1))
    assert matrix.tolist() == [[1, 2, 0, 3, 4, 0], [0, 1, 2, 0, 3, 4]]


@given(st.integers(0, 2**32 - 1), SIZES, SIZES, SIZES, st.tuples(st.integers(0, 2), st.integers(0, 2)), SIZES)
def test_a_tile_is_torchs_convolution(
    seed: int,
    kernel: tuple[int, int],
    stride: tuple[int, int],
    tiles: tuple[int, int],
    padding: tuple[int, int],
    tile: tuple[int, int],
) -> None:
    """Gathered, multiplied and scattered, for images that have a whole number of tiles."""
    sizes = zip(kernel, stride, tiles, padding, tile, strict=True)
    height, width = (k + s * (n * t - 1) - 2 * p for k, s, n, p, t in sizes)
    assume(height >= 1 and width >= 1)
    stage = ConvStage(
        layer=0, channels=2, height=height, width=width, kernel=kernel, stride=stride, padding=padding, tile=tile
    )
    rng = np.random.default_rng(seed)
    weight = rng.integers(-9, 10, (3, 2, *kernel))
    values = rng.integers(-9, 10, (2, stage.inputs))
    rows = stage.gather(values)
    assert rows.shape == (2 * stage.starts, stage.tile_inputs) == (2 * math.prod(tiles), stage.tile_inputs)
    found = stage.scatter(rows @ Grid.of(stage).matrix(weight.reshape(3, -1), tile).T)
    images = torch.from_numpy(values).reshape(2, 2, height, width)
    expected = F.conv2d(images.double(), torch.from_numpy(weight).double(), None, stride, padding)
    assert np.array_equal(found, expected.flatten(1).long().numpy())
    # What a tile sees, from what each of its positions sees: all of it where there are no gaps between the windows, and
    # others are never put together.
    if all(one >= step or count == 1 for one, step, count in zip(kernel, stride, tile, strict=True)):
        alone = dataclasses.replace(stage, tile=(1, 1)).gather(values)
        assert np.array_equal(Grid.of(stage).rows(alone, tile), rows)


@pytest.mark.parametrize("positions", [1, 2, 4, 16])
@pytest.mark.parametrize("product_shift", [0, 4])
def test_outputs_do_not_change_in_any_bit(positions: int, product_shift: int) -> None:
    """Not even where sums saturate, since the order of their terms is the same; on fewer PEs and on more."""
    rng = np.random.default_rng(positions)
    geometry = EieGeometry(pes=4, accumulator_bits=18, product_shift=product_shift)
    network = small_conv_network(rng, geometry)
    inputs = random_inputs(rng, 6, network.inputs, (0.4, 1.0))
    runs = golden.run(network, inputs)
    assert sum(run.saturated_sums.sum() for run in runs) > 100
    for pes in (2, 8):
        laid = relaid(network, pes, positions=positions)
        assert max(laid.together) <= positions
        assert positions == 1 or max(laid.together) > 1
        assert np.array_equal(golden.outputs(laid, inputs), golden.outputs(network, inputs))
        for index in range(len(network.layers)):
            assert np.array_equal(laid.position_codes(index), network.position_codes(index))
            assert laid.weight_counts[index] == network.weight_counts[index]
        assert storage(laid).dense == storage(network).dense
        assert one_by_one(laid.stages) == network.stages


def test_a_tile_is_as_large_as_allowed() -> None:
    """By hand: 24 x 24 positions divide into 4 x 4, which see 8 x 8 values; 8 x 8 positions of 20 channels into 2 x 4,
    which see 20 x 6 x 8 = 960 of 1,024 values, as 4 x 2 do; 4 x 4 would see 1,280. A prime number of positions is one
    tile or none. Windows that do not overlap see at most 256 values."""

    def tile(size: int, kernel: int, channels: int, outputs: int, positions: int) -> tuple[int, int]:
        side = size + kernel - 1
        stage = ConvStage(
            layer=0,
            channels=channels,
            height=side,
            width=side,
            kernel=(kernel, kernel),
            stride=(1, 1),
            padding=(0, 0),
        )
        return Grid.of(stage).tile(outputs, positions)

    assert tile(24, 5, 1, 20, 16) == (4, 4)
    assert sorted(tile(8, 5, 20, 50, 16)) == [2, 4]
    assert tile(24, 5, 1, 20, 1) == tile(24, 5, 1, 20, 0) == (1, 1)
    assert sorted(tile(7, 3, 4, 8, 16)) == [1, 7]
    assert tile(7, 3, 4, 8, 6) == (1, 1)
    assert tile(24, 5, 1, 600, 16) == (1, 1)  # two positions would have 1,200 outputs
    assert math.prod(tile(8, 1, 64, 8, 16)) == 4  # windows of 1 x 1 do not overlap: 4 x 64 inputs


def test_windows_with_gaps_between_them_stay_apart() -> None:
    """A stride of 4 with a kernel of 1 or 2 down: tiles would see rows that no window needs."""
    stage = ConvStage(layer=0, channels=1, height=16, width=16, kernel=(2, 3), stride=(4, 1), padding=(0, 1))
    assert Grid.of(stage).tile(4, 16) == (1, 16)
    assert Grid.of(dataclasses.replace(stage, kernel=(1, 1), stride=(4, 4), padding=(0, 0))).tile(4, 16) == (1, 1)


def test_memories_that_keep_their_size_limit_the_tile() -> None:
    network = relaid(small_conv_network(np.random.default_rng(0), EieGeometry(pes=4)), 4, positions=16)
    words = network.geometry.entry_words
    smallest = relaid(network, 4, positions=1)
    assert smallest.geometry.entry_words < words
    small = dataclasses.replace(network, geometry=dataclasses.replace(network.geometry, entry_words=words // 2))
    others = ("pointers", "activation_rows", "layers")
    found = relaid(small, 4, fit=others, positions=16)
    assert found.geometry.entry_words == words // 2
    assert 1 < max(found.together) < max(network.together)
    tiny = dataclasses.replace(network, geometry=dataclasses.replace(network.geometry, entry_words=1))
    with pytest.raises(FitError, match="entry_words is 1"):
        relaid(tiny, 4, fit=others, positions=16)
    with pytest.raises(ValueError, match=r"^positions must be at least 1, not 0$"):
        relaid(network, 4, positions=0)


def test_positions_that_differ_are_refused(tmp_path: object) -> None:
    """In a matrix, and in a file whose weights are no convolution."""
    network = relaid(small_conv_network(np.random.default_rng(0), EieGeometry(pes=4)), 4, positions=4)
    stage = network.stages[0]
    stages, codes = in_tiles(one_by_one(network.stages), [network.position_codes(i) for i in range(4)], [True] * 4, 4)
    assert stages == network.stages
    assert np.array_equal(of_one_position(stage, codes[0]), network.position_codes(0))
    codes[0][-1, -2] += 1
    with pytest.raises(ValueError, match=r"^the 4 positions of a tile must have the same weights$"):
        of_one_position(stage, codes[0])
    codes[0][-1, -2] -= 1
    codes[0][-1, -1] ^= 1
    forged = bundle.assemble(network.geometry, network.layers, codes, network.codebooks, network.stages, network.order)
    path = tmp_path / "forged.zs"  # type: ignore[operator]
    bundle.save(forged, path)
    with pytest.raises(BundleError, match="entries and pointers: the 4 positions of a tile must have the same weights"):
        bundle.load(path)


def test_tiles_take_fewer_cycles() -> None:
    """Each start fills and drains the pipeline, and each value is broadcast once for a tile."""
    rng = np.random.default_rng(0)
    network = small_conv_network(rng, EieGeometry(pes=4))
    inputs = random_inputs(rng, 3, network.inputs, (1.0,))
    totals = []
    for positions in (1, 4, 16):
        laid = relaid(network, 4, positions=positions)
        runs = golden.run(laid, inputs)
        totals.append(int(cycles.run(laid, [run.inputs for run in runs])[:, :2].sum()))
    assert totals[0] > 2 * totals[1] > 2 * totals[2]
