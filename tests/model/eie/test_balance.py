"""Row assignment: a permutation that evens out the work, and leaves the network what it was."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.balance import assign_rows, balance
from zeroskip.model.eie.calibrate import float_rows
from zeroskip.model.eie.compiler import compile_network, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.shared import SharedLayer
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
    balanced, order = balance(layers, stages, inputs, 4)
    before, after = (float_rows(each, stages, inputs)[-1][1] for each in (layers, balanced))
    np.testing.assert_allclose(after[:, order], before, rtol=1e-9, atol=1e-12)


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
