"""What the number formats of a core lose is counted in every summary, and told where it is much."""

from __future__ import annotations

import dataclasses
import warnings
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

import zeroskip
from zeroskip.model.cores import CORES, load_core
from zeroskip.model.data.dataset import Dataset
from zeroskip.model.network.subset import chosen


def network() -> nn.Module:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(30, 8, bias=False), nn.ReLU(), nn.Linear(8, 3, bias=False)).eval()


def inputs(count: int, scale: float = 1.0) -> np.ndarray:
    return (np.random.default_rng(count).normal(size=(count, 30)) * scale).astype(np.float32)


def split(train: np.ndarray, test: np.ndarray) -> Dataset:
    labels = [np.arange(len(values)) % 3 for values in (train, test)]
    return Dataset(name="made up", train_inputs=train, train_labels=labels[0], test_inputs=test, test_labels=labels[1])


def settings(core: str, **own: Any) -> zeroskip.CompileSettings:
    small = import_module(f"support.{core}_settings").SMALL
    return zeroskip.CompileSettings(core=core, own=dataclasses.replace(small, **own))


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("labelled", [True, False])
def test_ordinary_networks_are_not_told_of(core: str, labelled: bool) -> None:
    values = inputs(100)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data = (values, np.arange(100) % 3 if labelled else None)
        summary = zeroskip.compile(network(), data, settings=settings(core)).summary()
    assert summary["lost"] == []
    assert set(summary["saturated"].values()) == {0}
    assert summary["golden_images"] == 100


@pytest.mark.parametrize("labelled", [True, False])
def test_an_input_of_a_much_smaller_range_is_told(labelled: bool) -> None:
    values = inputs(100)
    values[:, 4] *= 1e-7
    data = (values, np.arange(100) % 3 if labelled else None)
    with pytest.warns(UserWarning, match=r"^layer 0, inputs: .* of 3,000 \(3.4%\) become zero, 1 inputs become zero"):
        summary = zeroskip.compile(network(), data).summary()
    lost = int((np.abs(values) < 0.5 * 2.0 ** -summary["layers"][0]["input_fraction"]).sum())
    assert lost > 100
    assert summary["lost"] == [{"layer": 0, "what": "inputs", "values": 3000, "to_zero": lost, "saturated": 0}]


def test_one_small_input_of_many_is_told() -> None:
    """One in a thousand values, but all that this input has."""
    values = np.random.default_rng(0).normal(size=(50, 1000)).astype(np.float32)
    values[:, 4] *= 1e-7
    with pytest.warns(UserWarning, match="1 inputs become zero in all samples"):
        zeroskip.compile(nn.Linear(1000, 2), (values, None))


@pytest.mark.parametrize("core", CORES)
def test_test_data_that_are_too_large_are_counted(core: str) -> None:
    """Calibrated with other data: the golden model clips on the array; on the tile they are infinite in fp16."""
    data = split(inputs(50), inputs(20, 1e6))
    with pytest.warns(UserWarning, match=r"are too large"):
        compiled = zeroskip.compile(network(), data, settings=settings(core))
    summary = compiled.summary()
    kind = {"eie": "inputs", "mma": "activations"}[core]
    limit = {"eie": 2.0 ** (15 - summary["layers"][0].get("input_fraction", 0)), "mma": 65520}[core]
    beyond = int((np.abs(data.test_inputs) >= limit).sum())
    lost = next(one for one in summary["lost"] if (one["layer"], one["what"]) == (0, kind))
    assert lost["saturated"] == beyond > 0
    assert summary["saturated"][kind] >= beyond
    assert (f"saturated {kind}", f"{summary['saturated'][kind]:,}") in compiled.rows()


@pytest.mark.parametrize("core", CORES)
def test_test_data_that_are_too_small_are_told(core: str) -> None:
    data = split(inputs(50), inputs(20, 1e-9))
    with pytest.warns(UserWarning, match=r"600 of 600 \(100.0%\) become zero"):
        zeroskip.compile(network(), data, settings=settings(core))


def test_hidden_activations_beyond_fp16_are_told_but_not_in_bf16() -> None:
    """The range of the hidden layer is known from the training split alone."""
    module = network()
    with torch.no_grad():
        module[0].weight.mul_(100)
    data = split(inputs(50), inputs(20, 1e3))
    with pytest.warns(UserWarning, match=r"^layer 1, activations: .* are too large"):
        zeroskip.compile(module, data, settings=settings("mma"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        zeroskip.compile(module, data, settings=settings("mma", dtype="bf16"))


@pytest.mark.parametrize("core", CORES)
def test_simulate_tells_what_is_lost(core: str) -> None:
    compiled = zeroskip.compile(network(), (inputs(50), None), settings=settings(core))
    with pytest.warns(UserWarning, match=r"90 of 90 \(100.0%\) become zero"):
        result = zeroskip.simulate(compiled, (inputs(3, 1e-9), None))
    assert result.equal
    assert {(one["layer"], one["to_zero"]) for one in result.summary()["lost"]} == {(0, 90)}


@pytest.mark.parametrize("together", [250, 3])
def test_saturated_sums_are_counted_alike(together: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A narrow accumulator saturates often in one sum. Compiling looks at parts, the simulation at the whole."""
    monkeypatch.setattr("zeroskip.model.core._CHUNK", together)
    data = split(inputs(50), inputs(20, 30))
    compiled = zeroskip.compile(network(), data, settings=settings("eie", accumulator_bits=16))
    simulation = zeroskip.simulate(compiled, data, settings=zeroskip.SimulateSettings(saturate=True))
    found = compiled.summary()["saturated"]["sums"]
    assert found == simulation.summary()["saturated"]["sums"]
    assert 20 * (8 + 3) / 2 < found <= 20 * (8 + 3)
    lost = [[one for one in of.summary()["lost"] if one["what"] == "sums"] for of in (compiled, simulation)]
    assert lost[0] == lost[1]
    assert sum(one["saturated"] for one in lost[0]) == found


@pytest.mark.parametrize("core", CORES)
def test_the_demo_tells_what_is_lost(core: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Test images of another range than those of the training, in most pixels."""
    from zeroskip.api.demo import load_demo
    from zeroskip.api.recipe import Prepared
    from zeroskip.model.data import digits

    known = digits.load_digits()
    test = dataclasses.replace(
        known, test_inputs=known.test_inputs[:5] * np.float32(1e8), test_labels=known.test_labels[:5]
    )
    monkeypatch.setattr(digits, "load_digits", lambda: test)
    module = nn.Linear(64, 10)
    prepared = Prepared(source=module, inputs=known.train_inputs, accuracy={}, test=None, kept=640, total=640)
    monkeypatch.setattr(type(load_demo(core)), "prepare", lambda *_: prepared)
    with pytest.warns(UserWarning, match="are too large") as told:
        result = zeroskip.demo(settings=zeroskip.DemoSettings(core=core, limit=1), output=tmp_path / "run").summary()
    kind = {"eie": "inputs", "mma": "activations"}[core]
    lost = next(one for one in result["lost"] if one["what"] == kind)
    # Of all images of the split, not of those that run on the RTL.
    assert lost["saturated"] == np.count_nonzero(test.test_inputs)
    assert [str(one.message) for one in told] == result["warnings"]


@pytest.mark.parametrize("core", CORES)
def test_limit_is_how_many_samples_the_golden_model_runs(core: str) -> None:
    """The JSON, the table and the bar name the same number of samples."""
    values, labels = inputs(90), np.arange(90) % 3
    limited = zeroskip.CompileSettings(core=core, limit=40)
    compiled = zeroskip.compile(network(), (values, labels), settings=limited)
    assert compiled.golden_images == 40
    taken = chosen(90, 40)
    assert len(np.unique(taken)) == 40
    assert (np.diff(taken) > 0).all()
    assert not np.array_equal(taken, np.arange(40))
    outputs = load_core(core).outputs(compiled.network, values)
    assert compiled.accuracy["golden"] == (outputs.argmax(axis=1) == labels)[taken].mean()
    assert (compiled.test_images, compiled.summary()["test_images"]) == (90, 90)
    assert dict(compiled.rows())["accuracy, golden"].endswith("% (on 40 of the 90 samples)")
    whole = zeroskip.compile(network(), (values, labels), settings=zeroskip.CompileSettings(core=core))
    assert dict(whole.rows())["accuracy, golden"].endswith("%")
    with pytest.raises(ValueError, match="limit must be at least 1, not 0"):
        zeroskip.CompileSettings(limit=0)


@pytest.mark.parametrize("core", CORES)
def test_lost_weights_are_told_by_layer(core: str) -> None:
    """Nothing but the weights of the second layer has a range that its format does not hold."""
    module = network()
    with torch.no_grad():
        module[2].weight.copy_(torch.tensor([1e-30, 1.0, 1e30]).repeat(8).reshape(3, 8))
    data = (inputs(60), np.arange(60) % 3)
    with pytest.warns(UserWarning, match=r"^layer 1, weights: (8|16) of 24 \(\d\d.\d%\) become zero"):
        summary = zeroskip.compile(module, data, settings=settings(core)).summary()
    lost = [one for one in summary["lost"] if one["what"] == "weights"]
    # The largest is kept, so 1 is lost as well.
    assert lost == [{"layer": 1, "what": "weights", "values": 24, "to_zero": 16, "saturated": 0}]
    assert summary["weights"]["rounded_to_zero"] == 16
