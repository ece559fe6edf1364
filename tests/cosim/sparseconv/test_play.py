"""Sparse networks in int8 under Verilator, on the mapping unit and the tile: equal to torch bit for bit."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
import pytest
import torch
from support.sparse_networks import cloud, float_network, network_vectors
from torch import nn

from zeroskip.cosim.session import Session
from zeroskip.cosim.sparseconv import play
from zeroskip.cosim.sparseconv.play import run_network
from zeroskip.model.network.pattern import DENSE, Pattern
from zeroskip.model.sparseconv import nn as spnn
from zeroskip.model.sparseconv.int8_network import quantise
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.vectors import SparseVectors, make_vectors

TWO_FOUR = Pattern()


@pytest.mark.parametrize("pattern", [DENSE, TWO_FOUR], ids=str)
@pytest.mark.parametrize(("convention", "outputs"), [("minkowski", "floored"), ("spconv", "listed")])
def test_a_network_equals_torch(convention: str, outputs: str, pattern: Pattern) -> None:
    """Three layers, the second strided, on voxels in random order."""
    x = cloud(3)
    network = quantise(float_network(convention), x, pattern=pattern)
    int8_x = network.quantise_input(x)
    runs = run_network(make_vectors(network, int8_x))
    assert [run.layer.outputs for run in runs] == ["same", outputs, "same"]
    # The unit makes the outputs from its sorted inputs, unless the host loads them.
    assert [sort.load for sort in runs[1].mapping.plan.sorts] == [True, outputs == "listed"]
    here = int8_x
    for layer, run in zip(network, runs, strict=True):
        here = layer(here)
        assert np.array_equal(run.outputs, here.feats.numpy())
        assert run.outputs.any()
        assert (run.mismatches, run.equal, run.model_equal) == (0, True, True)
        assert run.tile_cycles == run.expected_tile_cycles


@pytest.mark.parametrize(("pattern", "steps"), [(DENSE, 2), (TWO_FOUR, 1)], ids=str)
def test_two_four_takes_half_the_steps(pattern: Pattern, steps: int) -> None:
    """64 channels fill one window of the tile: 32 products in each of two steps, or the 32 that 2:4 keeps in one. A job
    is a step for each 4 x 4 sums, and 9 cycles."""
    x = cloud(64, extent=5)
    torch.manual_seed(2)
    network = quantise(nn.Sequential(spnn.Conv3d(64, 6, 3)), x, pattern=pattern)
    vectors = make_vectors(network, network.quantise_input(x))
    (run,) = run_network(vectors)
    assert run.equal
    sizes = np.bincount(vectors.vectors[0].triples[:, 0])
    assert run.tile_cycles == sum(2 * -(-int(size) // 4) * steps + 9 for size in sizes)


@pytest.mark.parametrize(
    "layer",
    [
        spnn.Conv3d(4, 4, 1),
        spnn.Conv3d(4, 4, 2, stride=2),
        spnn.Conv3d(4, 4, 3, stride=3, convention="minkowski"),
        spnn.Conv3d(4, 4, (3, 1, 2), stride=(1, 2, 1), padding=(1, 0, 0)),
        spnn.Conv3d(4, 4, 3, dilation=2),
        spnn.Conv3d(4, 4, 3, padding=1, submanifold=False),
    ],
    ids=["point", "even", "stride 3", "uneven", "dilated", "not submanifold"],
)
def test_kinds_of_layers(layer: nn.Module) -> None:
    x = cloud(4, extent=5)
    network = quantise(nn.Sequential(layer), x)
    (run,) = run_network(make_vectors(network, network.quantise_input(x)))
    assert run.equal
    assert np.array_equal(run.outputs, network(network.quantise_input(x)).feats.numpy())


def test_no_voxels() -> None:
    network = quantise(float_network("minkowski"), cloud(3, 5))
    empty = SparseTensor(torch.zeros(0, 3, dtype=torch.int8), torch.zeros(0, 4, dtype=torch.int32))
    runs = run_network(make_vectors(network, empty))
    assert [(run.equal, run.gemms, run.outputs.shape) for run in runs] == [
        (True, 0, (0, 8)),
        (True, 0, (0, 12)),
        (True, 0, (0, 6)),
    ]


def test_extreme_values_wrap_alike() -> None:
    """The bias takes the sums beyond int32: the host wraps as torch does."""
    x = cloud(4, extent=4)
    network = quantise(nn.Sequential(spnn.Conv3d(4, 4, 3)), x)
    network[0].bias.fill_(2**31 - 1)
    int8_x = network.quantise_input(x)
    vectors = make_vectors(network, int8_x)
    assert vectors.vectors[0].sums.min() < 0
    (run,) = run_network(vectors)
    assert run.equal


@pytest.fixture(scope="module")
def vectors() -> SparseVectors:
    return network_vectors(extent=5)


def changed(vectors: SparseVectors, number: int, **fields: Any) -> SparseVectors:
    own = list(vectors.vectors)
    own[number] = dataclasses.replace(own[number], **fields)
    return dataclasses.replace(vectors, vectors=tuple(own))


@pytest.mark.parametrize("field", ["products", "sums"])
def test_another_number_in_the_vectors_is_told(vectors: SparseVectors, field: str) -> None:
    numbers = getattr(vectors.vectors[1], field).copy()
    numbers[3, 2] += 1
    runs = run_network(changed(vectors, 1, **{field: numbers}))
    assert [getattr(run, field) for run in runs] == [0, 1, 0]
    assert [run.mismatches for run in runs] == [0, 1, 0]
    assert [run.equal for run in runs] == [True, False, True]


def test_a_triple_that_is_missing_is_told(vectors: SparseVectors) -> None:
    own = vectors.vectors[0]
    fields = {name: getattr(own, name)[:-1] for name in ("triples", "rows", "products")}
    first, *_ = run_network(changed(vectors, 0, **fields))
    assert first.triples == 3
    # The sum of its output lacks the product, except where that is zero.
    assert first.sums == np.count_nonzero(own.products[-1])
    assert not first.equal


def test_a_wrong_product_of_the_tile_is_told(vectors: SparseVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    """It goes through to the sums, the features and the next layer, and the job is recorded."""
    right, played, failed = play.play_gemm, [], []

    def wrong(*arguments: Any) -> Any:
        run = right(*arguments)
        played.append(run)
        if len(played) == 5:
            run.d[1, 0] = 1 << 30
        return run

    monkeypatch.setattr(play, "play_gemm", wrong)
    monkeypatch.setattr(Session, "fail", lambda _, jobs: failed.append(jobs))
    first, second, _ = run_network(vectors)
    assert (first.tile_mismatches, first.products, first.sums, first.feats) == (1, 1, 1, 1)
    assert second.tile_mismatches == 0
    assert second.products > 0
    assert failed == [range(1)]


def test_cycles_that_differ_are_told(vectors: SparseVectors, monkeypatch: pytest.MonkeyPatch) -> None:
    right = play.play_gemm
    monkeypatch.setattr(
        play,
        "play_gemm",
        lambda *arguments: dataclasses.replace(run := right(*arguments), job_cycles=(run.job_cycles[0] + 1,)),
    )
    monkeypatch.setattr(Session, "fail", lambda *_: None)
    first, *_ = run_network(vectors)
    assert first.mismatches == 0
    assert (first.model_equal, first.equal) == (False, False)
    assert first.tile_cycles == first.expected_tile_cycles + first.gemms


@pytest.mark.parametrize(
    ("change", "triples", "model_equal"),
    [
        (lambda run: {"triples": run.triples ^ ([[0, 1, 0]] + [[0, 0, 0]] * (len(run.triples) - 1))}, 1, True),
        (lambda run: {"outputs": run.outputs ^ ([[0, 0, 0, 1]] + [[0, 0, 0, 0]] * (len(run.outputs) - 1))}, 1, True),
        (lambda _: {"disordered": True}, 0, True),
        (lambda _: {"mismatches": 1}, 0, True),
        (lambda _: {"cycle_model_equal": False}, 0, False),
    ],
    ids=["triple", "output", "disordered", "golden", "cycles"],
)
def test_a_wrong_map_is_told(
    vectors: SparseVectors, monkeypatch: pytest.MonkeyPatch, change: Any, triples: int, model_equal: bool
) -> None:
    """The products are those of the right map all the same."""
    right = play.run_layer

    def wrong(*arguments: Any, **options: Any) -> Any:
        run = right(*arguments, **options)
        return dataclasses.replace(run, **change(run))

    monkeypatch.setattr(play, "run_layer", wrong)
    for run in run_network(vectors):
        assert not run.equal
        assert (run.triples, run.model_equal) == (triples, model_equal)
        assert (run.products, run.sums, run.feats) == (0, 0, 0)


def test_a_layer_that_does_not_fit_is_named() -> None:
    x = cloud(3, 5)
    network = quantise(float_network("minkowski"), x)
    int8_x = network.quantise_input(x)
    far = SparseTensor(int8_x.feats, int8_x.coords * torch.tensor([1, 1, 1, 1_000_000], dtype=torch.int32))
    with pytest.raises(ValueError, match=r"layers\[0\]: coordinates must be from"):
        run_network(make_vectors(network, far))
