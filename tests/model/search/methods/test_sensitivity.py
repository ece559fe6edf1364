"""Sensitivity analysis: the scan, and the plan from its curves."""

from __future__ import annotations

import copy
import re
from pathlib import Path

import numpy as np
import pytest
import torch
from support.searching import accuracies, evaluator
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
    """From curves of (density, loss): all accuracies are the same, as if pruning did no harm."""
    scanned = {name: tuple((density, 0.9, loss) for density, loss in curve) for name, curve in curves.items()}
    return SensitivityScan(granularity=WEIGHTS, dense=0.9, curves=scanned)


def reached(densities: dict[str, float]) -> float:
    return (100 * densities["a"] + 300 * densities["b"]) / 400


ROBUST = ((1.0, 0.1), (0.5, 0.1), (0.1, 0.2), (0.02, 0.8))
FRAGILE = ((1.0, 0.1), (0.5, 0.4), (0.1, 2.0), (0.02, 3.0))


def test_the_least_loss_for_the_cost() -> None:
    """What costs nothing goes first. Then b gives 0.25 / 300 of loss for each unit of cost, and a 0.6 / 100."""
    plan = solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.625)
    assert plan.densities == {"a": 1.0, "b": 0.5}
    assert plan.damage == plan.bound == 0
    plan = solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.4)
    assert plan.densities["a"] == 1.0
    assert plan.densities["b"] == pytest.approx(0.2, abs=1e-5)
    assert plan.damage == pytest.approx(0.25 * 0.3, abs=1e-5)
    # Below 0.1, b gives 0.6 / 24 for a unit, so a is the cheaper one.
    plan = solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.3)
    assert plan.densities == pytest.approx({"a": 0.9, "b": 0.1}, abs=1e-3)
    assert reached(plan.densities) == pytest.approx(0.3, abs=1e-4)


def test_the_cost_counts() -> None:
    """With the same curves, the group that saves more is pruned further."""
    curve = ((1.0, 0.1), (0.5, 0.2), (0.1, 0.5), (0.02, 1.0))
    densities = solve(found(a=curve, b=curve), space(), table(), 0.7).densities
    assert densities["a"] > densities["b"]
    assert reached(densities) == pytest.approx(0.7, abs=1e-4)


def test_gains_and_chance_count_as_nothing() -> None:
    """Pruning that gains alone is no reason to prune, and fewer weights are never better."""
    gaining = ((1.0, 0.1), (0.5, 0.0), (0.1, 0.0))
    plan = solve(found(a=gaining, b=gaining), space(), table(), 0.5)
    assert plan.damage == 0
    noisy = ((1.0, 0.1), (0.5, 0.3), (0.1, 0.2), (0.02, 0.25))
    plan = solve(found(a=noisy, b=FRAGILE), space(), table(), 0.6)
    # Below 0.5, nothing of a costs more loss: all that it saves goes to b.
    assert plan.densities == pytest.approx({"a": 0.02, "b": (0.6 * 400 - 2) / 300}, abs=0.01)


def test_patterns_are_taken_or_not() -> None:
    curves = {"a": ((1.0, 0.9, 0.1), (0.5, 0.9, 0.4)), "b": ((1.0, 0.9, 0.1), (0.5, 0.9, 0.2))}
    halves = SensitivityScan(granularity="2:4", dense=0.9, curves=curves)
    assert solve(halves, space("2:4"), table(), 0.7).densities == {"a": 1.0, "b": 0.5}
    assert solve(halves, space("2:4"), table(), 0.55).densities == {"a": 0.5, "b": 0.5}


def test_a_budget_that_cannot_be_met() -> None:
    message = "budget 0.01 of the dense macs cannot be met: the smallest cost that can be reached is 0.0200 of it"
    with pytest.raises(ValueError, match=re.escape(message)):
        solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.01)
    # At the smallest densities, and just above them.
    assert reached(solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.02).densities) == 0.02
    assert reached(solve(found(a=FRAGILE, b=ROBUST), space(), table(), 0.03).densities) == pytest.approx(0.03, abs=1e-4)
    for budget in (0.0, 1.1):
        with pytest.raises(ValueError, match="budget must be above 0 and at most 1"):
            solve(found(a=FRAGILE, b=ROBUST), space(), table(), budget)


def test_below_the_scanned_densities() -> None:
    """A scan that stopped at 0.1: the loss goes on in a straight line, to twice as much at 0.02."""
    stopped = ((1.0, 0.1), (0.5, 0.1), (0.1, 1.1))
    plan = solve(found(a=stopped, b=FRAGILE), space(), table(), 0.8)
    assert plan.densities == pytest.approx({"a": 0.5, "b": 0.9}, abs=1e-4)
    plan = solve(found(a=stopped, b=stopped), space(), table(), 0.02)
    assert plan.damage == pytest.approx(4.0)


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
        assert curve[0][:2] == (1.0, result.dense)
        assert all(accuracy >= 0.5 * result.dense for _, accuracy, _ in curve[:-1])
        density, accuracy, loss = curve[3]
        alone = copy.deepcopy(module)
        weight = alone.get_parameter(f"{name}.weight")
        with torch.no_grad():
            least = weight.abs().flatten().sort(descending=True).values[round(weight.numel() * density) - 1]
            weight[weight.abs() < least] = 0
        assert accuracy == evaluate(alone, validation.inputs, validation.labels)
        with torch.no_grad():
            expected = nn.functional.cross_entropy(alone(validation.inputs), validation.labels)
        assert loss == pytest.approx(float(expected), rel=1e-5)
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
    # An accuracy and a loss for each; what has only one of them is measured again.
    assert 0 < known < 2 * whole.measured
    assert scan(resumed) == expected
    assert resumed.measured == whole.measured - known // 2
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
        accuracies(broken, [{"0": 0.5}, {"0": 0.25}])


def test_channels_are_scanned_where_they_differ(tmp_path: Path) -> None:
    """With four channels there are only three steps."""
    result = scan(evaluator(tmp_path, granularity="channels", width=4))
    assert [density for density, _, _ in result.curves["0"]] == [1.0, 0.75, 0.5, 0.25]
    assert np.all(np.array([accuracy for _, accuracy, _ in result.curves["0"]]) <= 1)
