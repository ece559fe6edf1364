"""Row assignment: a permutation that evens out the work, and leaves the network what it was."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.model.eie import balance as module
from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.balance import Used, assign_rows, balance
from zeroskip.model.eie.compiler import compile_network, float_outputs, quantise_inputs
from zeroskip.model.eie.format import encode
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.shared import SharedLayer, to_module
from zeroskip.model.network.stages import LinearStage


def random_layers(rng: np.random.Generator, sizes: list[int], *, bias: bool) -> list[SharedLayer]:
    layers = []
    for inputs, outputs in pairwise(sizes):
        codes = rng.integers(0, 16, (outputs, inputs + 1)).astype(np.uint8) * (rng.random((outputs, inputs + 1)) < 0.4)
        codebook = rng.normal(size=16).astype(np.float32)
        codebook[0] = 0
        layers.append(
            SharedLayer(
                codebook=codebook,
                weight_codes=codes[:, 1:].astype(np.uint8),
                bias_codes=codes[:, 0].astype(np.uint8) if bias else None,
                relu=True,
            )
        )
    return layers


@given(st.integers(0, 2**32 - 1), st.lists(st.integers(1, 40), min_size=2, max_size=4), st.booleans())
def test_the_network_stays_what_it_was(seed: int, sizes: list[int], bias: bool) -> None:
    rng = np.random.default_rng(seed)
    layers = random_layers(rng, sizes, bias=bias)
    inputs = rng.normal(size=(5, sizes[0])).astype(np.float32)
    stages = [LinearStage(first=0, last=len(layers) - 1)]
    balanced, order = balance(layers, stages, Used.of(layers, stages, inputs), 4)
    with torch.no_grad():
        before, after = (to_module(each).double()(torch.from_numpy(inputs).double()) for each in (layers, balanced))
    np.testing.assert_allclose(after[:, order.astype(int)], before, rtol=1e-9, atol=1e-12)


def test_compiled_either_way_it_gives_the_same() -> None:
    rng = np.random.default_rng(1)
    layers = random_layers(rng, [30, 41, 9], bias=True)
    inputs = rng.normal(size=(20, 30)).astype(np.float32)
    results = []
    for balance_load in (False, True):
        network = compile_network(layers, inputs, EieGeometry(pes=4), fit=MEMORIES, balance_load=balance_load)
        outputs = golden.run(network, quantise_inputs(network, inputs)[0])[-1].outputs[:, network.order]
        results.append(float_outputs(network, outputs))
    assert np.array_equal(results[0], results[1])


def test_rows_that_share_columns_part() -> None:
    # Four rows in two pairs with the same columns: in turn, each PE would get one pair whole.
    weights = np.array([[1, 1, 0, 0], [0, 0, 1, 1], [1, 1, 0, 0], [0, 0, 1, 1]], bool)
    places = assign_rows(weights, np.ones(4, np.float32), 2)
    assert sorted(places.tolist()) == [0, 1, 2, 3]
    assert [sorted(int(row) % 2 for row in places[pe::2]) for pe in range(2)] == [[0, 1], [0, 1]]


def test_fewer_cycles_than_in_turn() -> None:
    rng = np.random.default_rng(2)
    codes = rng.integers(1, 16, (1024, 1024), np.uint8)
    codes[rng.random(codes.shape) >= 0.04] = 0
    codebook = np.append(0, rng.normal(size=15)).astype(np.float32)
    layer = SharedLayer(codebook=codebook, weight_codes=codes, bias_codes=None, relu=True)
    activations = (rng.uniform(0.1, 1, (1, 1024)) * (rng.random((1, 1024)) < 0.375)).astype(np.float32)
    taken = []
    for balance_load in (False, True):
        network = compile_network([layer], activations, EieGeometry(pes=32), fit=MEMORIES, balance_load=balance_load)
        taken.append(int(cycles.run(network, [quantise_inputs(network, activations)[0]]).sum()))
    assert taken[1] < taken[0]


def rows_of_two_windows() -> np.ndarray:
    """24 rows of 128 columns for 4 PEs. Each column has 6 weights, in the rows 6s to 6s + 5 of its set s: sets 0 and 1
    alternate in the first 64 columns, sets 2 and 3 in the others."""
    column = np.arange(128)
    return np.arange(24)[:, None] // 6 == column // 64 * 2 + column % 2


FILL = 32
"""Cycles that a layer may take to fill and to empty the pipeline."""


def cycles_of(weights: np.ndarray) -> int:
    """Cycles on 4 PEs with queues of 8 columns, all of which are broadcast."""
    columns = encode(weights.astype(np.uint8), EieGeometry(pes=4))
    active = np.ones((1, weights.shape[1]), np.int16)
    return int(cycles.layer_cycles(columns, active, EieGeometry(pes=4), bias=False)[0])


@pytest.mark.parametrize("seed", range(5))
def test_windows_are_even_where_columns_cannot_be(seed: int) -> None:
    # At best, 6 weights of a column are 2, 2, 1 and 1 in the PEs. If they are 2 in PEs 0 and 1 throughout the first 64
    # columns, and in PEs 2 and 3 throughout the others, each column and the sum of all columns are as even as can be.
    # Still, each column takes 2 cycles, because the queues do not hold half of the columns.
    weights = rows_of_two_windows()
    one_sided = np.array([[0, 1, 2, 3, 0, 1], [0, 1, 2, 3, 0, 1], [2, 3, 0, 1, 2, 3], [2, 3, 0, 1, 2, 3]]).reshape(-1)
    blind = np.empty(24, int)
    for pe in range(4):
        blind[pe::4] = np.flatnonzero(one_sided == pe)
    load = np.array([weights[blind[pe::4]].sum(axis=0) for pe in range(4)])
    assert np.array_equal(np.sort(load, axis=0)[:, 0], [1, 1, 2, 2])
    assert load.sum(axis=1).tolist() == [192] * 4
    assert 2 * 128 - 2 * 8 <= cycles_of(weights[blind]) <= 2 * 128 + FILL

    # Two columns together can take 3 cycles, in whatever order the rows are given.
    given = weights[np.random.default_rng(seed).permutation(24)]
    assert 192 <= cycles_of(given[assign_rows(given, np.ones(128), 4)]) <= 192 + FILL


@given(st.integers(0, 2**32 - 1), st.integers(1, 70), st.integers(1, 40), st.sampled_from([1, 2, 8, 64]))
def test_each_row_has_one_place(seed: int, rows: int, columns: int, pes: int) -> None:
    rng = np.random.default_rng(seed)
    weights = rng.random((rows, columns)) < rng.random()
    places = assign_rows(weights, rng.random(columns), pes)
    assert sorted(places.tolist()) == list(range(rows))


def test_rows_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    # What the PEs have from the first part counts in the second, which makes up for it.
    monkeypatch.setattr(module, "ROWS_AT_ONCE", 4)
    weights = np.arange(64) < np.array([64, 1, 1, 1, 64, 64, 64, 1])[:, None]
    places = assign_rows(weights, np.ones(64), 4)
    assert sorted(places[:4].tolist()) == [0, 1, 2, 3]
    assert sorted(places[4:].tolist()) == [4, 5, 6, 7]
    assert [int(weights[places[pe::4]].sum()) for pe in range(4)] == [65] * 4


@pytest.mark.parametrize("rare", range(3))
def test_columns_that_are_rarely_broadcast_may_be_uneven(rare: int) -> None:
    # Four rows, each two of which share eight columns; two PEs have two rows each, and share the rare columns.
    pairings = [((0, 1), (2, 3)), ((0, 2), (1, 3)), ((0, 3), (1, 2))]
    weights = np.zeros((4, 48), bool)
    frequencies = np.full(48, 0.5)
    for index, pair in enumerate(pair for pairing in pairings for pair in pairing):
        weights[pair, index * 8 : index * 8 + 8] = True
        if pair in pairings[rare]:
            frequencies[index * 8 : index * 8 + 8] = 0.1
    places = assign_rows(weights, frequencies, 2)
    assert sorted(tuple(sorted(places[pe::2].tolist())) for pe in range(2)) == list(pairings[rare])


@pytest.mark.parametrize("seed", range(4))
def test_simulated_queues_save_cycles_where_all_broadcasts_are_certain(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the exact cycle model, on a layer of few rows a PE, like NT-We."""
    weights = np.random.default_rng(seed).random((150, 1000)) < 0.1
    geometry = EieGeometry(pes=16)

    def cycles_after_balancing() -> int:
        places = assign_rows(weights, np.ones(1000), geometry.pes)
        assert sorted(places) == list(range(150))
        columns = encode(weights[places].astype(np.uint8), geometry)
        return int(cycles.layer_cycles(columns, np.ones((1, 1000)), geometry, bias=False)[0])

    simulated = cycles_after_balancing()
    monkeypatch.setattr(module, "TRIES", 0)
    assert simulated < cycles_after_balancing()
