"""The paper's layers: fewer cycles than the paper, on the cycle model here, on the RTL in the regression."""

from __future__ import annotations

import pytest

from zeroskip.cosim.eie.bench import bench
from zeroskip.model.eie.geometry import EieGeometry


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


def test_unknown_layer() -> None:
    with pytest.raises(ValueError, match=r"layers must be among Alex-6, .*, NT-LSTM, not Alex-9"):
        bench(["Alex-9"], EieGeometry(), seed=0, balance_load=False, on_rtl=False)


@pytest.mark.slow
def test_on_rtl() -> None:
    result = bench([], EieGeometry(), seed=1, balance_load=False, on_rtl=True)
    for row in result["layers"]:
        assert (row["golden_equal"], row["cycle_model_equal"]) == (True, True), row["name"]
        assert sum(row["lost"].values()) + row["utilisation"] == pytest.approx(1, abs=2e-3)
