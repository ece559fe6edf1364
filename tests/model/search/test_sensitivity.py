"""The scan and its plan, and a journal that a search goes on from."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from model.pruning.training import evaluate
from model.search.cost import CostTable
from model.search.evaluation import Evaluator
from model.search.plan import WEIGHTS, choices
from model.search.sensitivity import Scan, save_scan, scan, solve

SHAPES = {"a": (4, 4), "b": (4, 4)}


def table(a: float = 100.0, b: float = 300.0) -> CostTable:
    return CostTable(cost="macs", densities={"a": (0.0, 1.0), "b": (0.0, 1.0)}, values={"a": (0.0, a), "b": (0.0, b)})


def found(**curves: tuple[tuple[float, float], ...]) -> Scan:
    return Scan(granularity=WEIGHTS, dense=0.9, curves=curves)


ROBUST = ((1.0, 0.9), (0.5, 0.9), (0.1, 0.8))
FRAGILE = ((1.0, 0.9), (0.5, 0.7), (0.1, 0.3))


def test_layers_keep_the_same_accuracy_within_the_budget() -> None:
    plan = solve(found(a=FRAGILE, b=ROBUST), table(), 0.5, SHAPES)
    assert plan.reached == pytest.approx(0.5, abs=1e-6)
    assert plan.reached <= 0.5
    a, b = plan.densities["a"], plan.densities["b"]
    # On the curves: accuracy 0.9 - 0.4 (1 - a) down to a half, 0.8 + 0.25 (b - 0.1).
    assert 0.9 - 0.4 * (1 - a) == pytest.approx(0.8 + 0.25 * (b - 0.1), abs=1e-6)
    assert 100 * a + 300 * b == pytest.approx(200, abs=1e-3)


def test_what_costs_nothing_goes_whatever_the_budget() -> None:
    """Down to a half the robust layer loses nothing: the plan takes it all the same."""
    plan = solve(found(a=FRAGILE, b=ROBUST), table(), 0.9, SHAPES)
    assert plan.densities == {"a": 1.0, "b": 0.5}
    assert plan.reached == pytest.approx((100 + 150) / 400)


def test_curves_that_rise_by_chance() -> None:
    """More weights are never taken to be worse, and where they are no better the budget says how many stay."""
    noisy = ((1.0, 0.9), (0.5, 0.6), (0.1, 0.7))
    plan = solve(found(a=noisy, b=noisy), table(), 0.4, SHAPES)
    assert plan.densities["a"] == pytest.approx(plan.densities["b"])
    assert plan.reached == pytest.approx(0.4, abs=1e-6)


def test_patterns_are_taken_or_not() -> None:
    curves = {"a": ((1.0, 0.9), (0.5, 0.6)), "b": ((1.0, 0.9), (0.5, 0.8))}
    halves = Scan(granularity="2:4", dense=0.9, curves=curves)
    assert solve(halves, table(), 0.7, SHAPES).densities == {"a": 1.0, "b": 0.5}
    assert solve(halves, table(), 0.55, SHAPES).densities == {"a": 0.5, "b": 0.5}


def test_a_budget_that_cannot_be_met() -> None:
    message = "budget 0.05 of the dense macs cannot be met: the scan reaches 0.1000 at the least"
    with pytest.raises(ValueError, match=re.escape(message)):
        solve(found(a=FRAGILE, b=ROBUST), table(), 0.05, SHAPES)
    for budget in (0.0, 1.1):
        with pytest.raises(ValueError, match="budget must be above 0 and at most 1"):
            solve(found(a=FRAGILE, b=ROBUST), table(), budget, SHAPES)


def trained() -> tuple[nn.Module, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    inputs = torch.randn(300, 10)
    labels = (inputs[:, 0] > 0).long() + 2 * (inputs[:, 1] > 0).long()
    module = nn.Sequential(nn.Linear(10, 16), nn.ReLU(), nn.Linear(16, 4))
    optimizer = torch.optim.Adam(module.parameters(), 0.02)
    for _ in range(150):
        optimizer.zero_grad()
        nn.functional.cross_entropy(module(inputs), labels).backward()
        optimizer.step()
    return module, inputs, labels


def evaluator(path: Path, *, resume: bool = False, configuration: str = "this") -> Evaluator:
    module, inputs, labels = trained()
    return Evaluator(
        module,
        inputs,
        labels,
        granularity=WEIGHTS,
        configuration=configuration,
        journal=path / "journal",
        resume=resume,
    )


def test_scan_prunes_one_layer_alone_and_stops_early(tmp_path: Path) -> None:
    measure = evaluator(tmp_path)
    before = copy.deepcopy(measure.module.state_dict())
    calls: list[Any] = []
    result = scan(measure, ["0", "2"], choices(WEIGHTS), progress=lambda *call: calls.append(call))
    assert len(calls) == 20, "also what is skipped counts as done"
    assert result.dense == evaluate(measure.module, measure.inputs, measure.labels) > 0.9
    for name, curve in result.curves.items():
        assert curve[0] == (1.0, result.dense)
        assert all(accuracy >= 0.5 * result.dense for _, accuracy in curve[:-1])
        density, accuracy = curve[3]
        alone = copy.deepcopy(measure.module)
        weight = alone.get_parameter(f"{name}.weight")
        with torch.no_grad():
            least = weight.abs().flatten().sort(descending=True).values[round(weight.numel() * density) - 1]
            weight[weight.abs() < least] = 0
        assert accuracy == evaluate(alone, measure.inputs, measure.labels)
    for name, value in measure.module.state_dict().items():
        assert torch.equal(value, before[name])


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.9])
def test_a_search_that_was_cut_short_goes_on(tmp_path: Path, cut: float) -> None:
    """Ended anywhere, also in the middle of a line: the same scan, and nothing is measured twice."""
    whole = evaluator(tmp_path)
    expected = scan(whole, ["0", "2"], choices(WEIGHTS))
    text = whole.journal.read_text()
    whole.journal.write_text(text[: int(len(text) * cut)])
    resumed = evaluator(tmp_path, resume=True)
    known = len(resumed.known)
    assert 0 < known < whole.measured
    assert scan(resumed, ["0", "2"], choices(WEIGHTS)) == expected
    assert resumed.measured == whole.measured - known
    assert resumed.journal.read_text() == text


def test_without_resume_a_search_begins_anew(tmp_path: Path) -> None:
    first = evaluator(tmp_path)
    first.accuracy({"0": 0.3})
    assert evaluator(tmp_path).known == {}


def test_journals_that_cannot_be_used(tmp_path: Path) -> None:
    evaluator(tmp_path).accuracy({"0": 0.3})
    with pytest.raises(ValueError, match="journal: belongs to another network, other data"):
        evaluator(tmp_path, resume=True, configuration="other")
    path = tmp_path / "journal"
    lines = path.read_text().split("\n")
    path.write_text("\n".join([lines[0], lines[1][:10], *lines[1:]]))
    with pytest.raises(ValueError, match="journal: is no journal of a search"):
        evaluator(tmp_path, resume=True)
    path.write_text("")
    with pytest.raises(ValueError, match="journal: is no journal of a search"):
        evaluator(tmp_path, resume=True)


def test_files_of_a_scan(tmp_path: Path) -> None:
    paths = save_scan(found(a=FRAGILE, b=ROBUST), tmp_path / "plan.json")
    assert [path.name for path in paths] == ["plan.csv", "plan.curves.json", "plan.png"]
    assert paths[0].read_text().splitlines()[:3] == ["layer,density,accuracy", "a,1.0,0.9", "a,0.5,0.7"]
    assert json.loads(paths[1].read_text())["curves"]["b"] == [list(point) for point in ROBUST]
    assert paths[2].read_bytes()[:4] == b"\x89PNG"
