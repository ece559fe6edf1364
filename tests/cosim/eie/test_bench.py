"""The paper's layers: fewer cycles than the paper, on the cycle model here, on the RTL in the regression."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from zeroskip.cosim.eie import bench as module
from zeroskip.cosim.eie.bench import bench, bench_layer, paper_geometry
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.paper_layers import PAPER_LAYERS, PaperLayer


@pytest.fixture(scope="module")
def plain() -> dict:
    return bench([], EieGeometry(), seed=0, balance_load=False, on_rtl=False)


def test_nine_layers(plain: dict) -> None:
    assert len(plain["layers"]) == 9
    assert all(row["ratio"] < 1 for row in plain["layers"])
    assert plain["geomean_ratio"] <= 0.80
    assert plain["geomean_utilisation"] >= 0.90
    assert next(row for row in plain["layers"] if row["name"] == "NT-We")["utilisation"] >= 0.74


def test_with_a_balanced_load_they_take_fewer_cycles(plain: dict) -> None:
    names = ["Alex-8", "VGG-8", "NT-We", "NT-LSTM"]
    in_turn = {row["name"]: row["cycles"] for row in plain["layers"]}
    for row in bench(names, EieGeometry(), seed=0, balance_load=True, on_rtl=False)["layers"]:
        assert row["cycles"] < in_turn[row["name"]]


def test_balancing_does_not_see_the_activations_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    # With other activations in the run, the assignment of rows stays the same.
    networks: list[EieNetwork] = []

    def compile_and_keep(*arguments: Any, **options: Any) -> EieNetwork:
        networks.append(compile_network(*arguments, **options))
        return networks[-1]

    monkeypatch.setattr(module, "compile_network", compile_and_keep)
    paper = next(layer for layer in PAPER_LAYERS if layer.name == "Alex-8")
    layer, activations = paper.make(0)
    geometry = paper_geometry(EieGeometry(), [paper])
    for given in (activations, np.roll(activations, 1000)):
        monkeypatch.setattr(PaperLayer, "make", lambda self, seed, given=given: (layer, given))
        bench_layer(paper, geometry, seed=0, balance_load=True, on_rtl=False)
    first, second = networks
    assert np.array_equal(first.order, second.order)
    assert not np.array_equal(first.order, np.arange(paper.outputs))


def test_calibration_activations_are_others() -> None:
    for paper in PAPER_LAYERS[-3:]:
        own = paper.make(1)[1]
        others = paper.calibration(1)
        assert np.mean(others != 0) == pytest.approx(paper.activation_density, abs=0.01)
        assert not (others == own).all(axis=1).any()


def test_the_result_names_the_seeds(plain: dict) -> None:
    assert (plain["seed"], plain["calibration"]) == (0, None)
    balanced = bench(["NT-We"], EieGeometry(), seed=3, balance_load=True, on_rtl=False)
    assert (balanced["seed"], balanced["calibration"]) == (3, {"seed": 4, "samples": 1024})


@pytest.mark.slow
def test_with_a_balanced_load_all_layers_reach_the_target(plain: dict) -> None:
    balanced = bench([], EieGeometry(), seed=0, balance_load=True, on_rtl=False)
    assert balanced["geomean_ratio"] <= 0.735
    assert balanced["geomean_utilisation"] >= 0.94
    for row, in_turn in zip(balanced["layers"], plain["layers"], strict=True):
        assert row["cycles"] < in_turn["cycles"]


def test_unknown_layer() -> None:
    with pytest.raises(ValueError, match=r"layers must be among Alex-6, .*, NT-LSTM, not Alex-9"):
        bench(["Alex-9"], EieGeometry(), seed=0, balance_load=False, on_rtl=False)


@pytest.mark.slow
def test_on_rtl() -> None:
    result = bench([], EieGeometry(), seed=1, balance_load=False, on_rtl=True)
    for row in result["layers"]:
        assert (row["golden_equal"], row["cycle_model_equal"]) == (True, True), row["name"]
        assert sum(row["lost"].values()) + row["utilisation"] == pytest.approx(1, abs=2e-3)
