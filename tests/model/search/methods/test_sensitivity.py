"""Sensitivity analysis: the scan, and the plan from its curves."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from support.searching import evaluator
from torch import nn

from zeroskip.model.pruning.training import evaluate
from zeroskip.model.search.costs.table import CostTable, LayerTable
from zeroskip.model.search.evaluation import Evaluator
from zeroskip.model.search.methods.sensitivity import SensitivityScan, scan, solve, steps_of
from zeroskip.model.search.plan import WEIGHTS
from zeroskip.model.search.progress import SearchProgress
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.spaces.space import LayerSpace, PruningGroup


def space(granularity: str = WEIGHTS) -> LayerSpace:
    module = nn.ModuleDict({"a": nn.Linear(100, 1000), "b": nn.Linear(100, 1000)})
    return LayerSpace(module, granularity, ["a", "b"], torch.empty(0))


def table(a: float = 100.0, b: float = 300.0) -> CostTable:
    layers = {name: LayerTable(axes=((0.0, 1.0),), values=(0.0, cost)) for name, cost in (("a", a), ("b", b))}
    return CostTable(cost="macs", layers=layers)


def found(**curves: tuple[tuple[float, float], ...]) -> SensitivityScan:
    return SensitivityScan(granularity=WEIGHTS, dense=0.9, curves=curves)


def reached(densities: dict[str, float]) -> float:
    return (100 * densities["a"] + 300 * densities["b"]) / 400


ROBUST = ((1.0, 0.9), (0.5, 0.9), (0.1, 0.8))
FRAGILE = ((1.0, 0.9), (0.5, 0.7), (0.1, 0.3))


def test_layers_keep_the_same_accuracy_within_the_budget() -> None:
    densities = solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.5)
    assert reached(densities) == pytest.approx(0.5, abs=1e-4)
    assert reached(densities) <= 0.5
    a, b = densities["a"], densities["b"]
    # On the curves: accuracy 0.9 - 0.4 (1 - a) down to a half, 0.8 + 0.25 (b - 0.1).
    assert 0.9 - 0.4 * (1 - a) == pytest.approx(0.8 + 0.25 * (b - 0.1), abs=1e-4)


def test_what_costs_nothing_goes_first_and_no_further_than_it_must() -> None:
    densities = solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.9)
    assert densities["a"] == 1.0
    assert reached(densities) == pytest.approx(0.9, abs=1e-4)


def test_pruning_that_gains_alone() -> None:
    """All groups get the same accuracy, even above the dense accuracy, as far as their curves reach."""
    gaining = ((1.0, 0.9), (0.5, 0.93), (0.1, 0.8))
    densities = solve(found(a=gaining, b=gaining), space(), table(), 0.5)
    assert densities == {"a": 0.5, "b": 0.5}


def test_curves_that_rise_by_chance() -> None:
    """More weights count as never worse; where they are no better, the budget decides how many stay."""
    noisy = ((1.0, 0.9), (0.5, 0.6), (0.1, 0.7))
    densities = solve(found(a=noisy, b=noisy), space(), table(), 0.4)
    assert densities["a"] == pytest.approx(densities["b"], abs=1e-3)
    assert reached(densities) == pytest.approx(0.4, abs=1e-4)


def test_patterns_are_taken_or_not() -> None:
    curves = {"a": ((1.0, 0.9), (0.5, 0.6)), "b": ((1.0, 0.9), (0.5, 0.8))}
    halves = SensitivityScan(granularity="2:4", dense=0.9, curves=curves)
    assert solve(halves, space("2:4"), table(), 0.7) == {"a": 1.0, "b": 0.5}
    assert solve(halves, space("2:4"), table(), 0.55) == {"a": 0.5, "b": 0.5}


def test_a_budget_that_cannot_be_met() -> None:
    message = "budget 0.01 of the dense macs cannot be met: the smallest cost that can be reached is 0.0200 of it"
    with pytest.raises(ValueError, match=re.escape(message)):
        solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.01)
    # Also below the scanned densities, down to the smallest possible one.
    assert reached(solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.03)) == pytest.approx(0.03, abs=1e-4)
    for budget in (0.0, 1.1):
        with pytest.raises(ValueError, match="budget must be above 0 and at most 1"):
            solve(found(a=FRAGILE, b=ROBUST), space(), table(), budget)


def test_below_the_scanned_densities_the_accuracy_falls_to_zero() -> None:
    """From 0.3 (a) and 0.8 (b) at density 0.1 to 0 at 0.02, in a straight line: both layers have the same accuracy."""
    densities = solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.03)
    # (100 a + 300 b) / 400 = 0.03, with a = 0.02 + 0.08 x / 0.3 and b = 0.02 + 0.08 x / 0.8.
    accuracy = 0.01 * 4 / (0.08 / 0.3 + 3 * 0.08 / 0.8)
    assert densities["a"] == pytest.approx(0.02 + 0.08 * accuracy / 0.3, abs=2e-5)
    assert densities["b"] == pytest.approx(0.02 + 0.08 * accuracy / 0.8, abs=2e-5)


def test_scan_prunes_one_layer_alone_and_stops_early(tmp_path: Path) -> None:
    """One scan: its progress, its curves (a point of each measured again), and the unchanged network."""
    measure = evaluator(tmp_path)
    module, validation = measure.space.module, measure.validation
    before = copy.deepcopy(module.state_dict())
    states: list[SearchProgress] = []
    result = scan(measure, progress=states.append)
    assert [state.done for state in states] == list(range(1, 19)), "also what is skipped counts as done"
    assert result.dense == evaluate(module, validation.inputs, validation.labels) > 0.9
    for name, curve in result.curves.items():
        assert curve[0] == (1.0, result.dense)
        assert all(accuracy >= 0.5 * result.dense for _, accuracy in curve[:-1])
        density, accuracy = curve[3]
        alone = copy.deepcopy(module)
        weight = alone.get_parameter(f"{name}.weight")
        with torch.no_grad():
            least = weight.abs().flatten().sort(descending=True).values[round(weight.numel() * density) - 1]
            weight[weight.abs() < least] = 0
        assert accuracy == evaluate(alone, validation.inputs, validation.labels)
    for name, value in module.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize(
    ("granularity", "steps"),
    [
        ("weights", [0.8, 0.6, 0.4, 0.3, 0.2, 0.15, 0.1, 0.05, 0.02]),
        ("channels", [0.9, 0.8, 0.7, 0.6, 0.5, 0.4, 0.3, 0.2, 0.1]),
        ("2:4", [0.5]),
    ],
)
def test_densities_of_a_scan(granularity: str, steps: list[float]) -> None:
    """Weights are scanned further down than channels; patterns have one density."""
    counts = (2, 4) if granularity == "2:4" else range(1, 1001)
    group = PruningGroup(name="a", layers=("a",), total=counts[-1], counts=counts)
    assert steps_of(group, granularity) == tuple(steps)


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
def test_a_search_that_was_cut_short_goes_on(tmp_path: Path, cut: float) -> None:
    """Interrupted anywhere, even in the middle of a line: the same scan, and nothing is measured twice."""
    whole = evaluator(tmp_path)
    expected = scan(whole)
    path = whole.journal.path
    text = path.read_text()
    path.write_text(text[: int(len(text) * cut)])
    resumed = evaluator(tmp_path, resume=True)
    known = len(resumed.journal.known)
    assert 0 < known < whole.measured
    assert scan(resumed) == expected
    assert resumed.measured == whole.measured - known
    assert path.read_text() == text


def test_workers_change_nothing(tmp_path: Path) -> None:
    alone, together = evaluator(tmp_path / "1"), evaluator(tmp_path / "2", workers=2)
    assert scan(alone) == scan(together)
    assert alone.journal.path.read_text() == together.journal.path.read_text()
    assert alone.measured == together.measured


def test_errors_in_a_worker_are_told(tmp_path: Path) -> None:
    measure = evaluator(tmp_path, workers=2)
    wrong = Samples(inputs=measure.validation.inputs[:, :3], labels=measure.validation.labels)
    broken = Evaluator(measure.space, measure.samples, wrong, measure.journal, 2)
    with pytest.raises(ValueError, match=r"fails in evaluation mode: RuntimeError: .* shapes cannot be multiplied"):
        list(broken.accuracies([{"0": 0.5}, {"0": 0.25}]))


def test_channels_are_scanned_where_they_differ(tmp_path: Path) -> None:
    """With four channels there are only three steps."""
    result = scan(evaluator(tmp_path, granularity="channels", width=4))
    assert [density for density, _ in result.curves["0"]] == [1.0, 0.75, 0.5, 0.25]
    assert np.all(np.array([accuracy for _, accuracy in result.curves["0"]]) <= 1)
