"""Plans: their fields, their file, and the errors of invalid plans."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from zeroskip.model.search.plan import LayerPlan, Plan, load_plan, save_plan, weight_shapes


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(24, 5))


def plan(granularity: str = "weights", first: float = 0.25, second: float = 0.1) -> Plan:
    return Plan(
        granularity=granularity,
        layers=(
            LayerPlan(name="0", shape=(6, 4, 3, 3), density=first),
            LayerPlan(name="3", shape=(5, 24), density=second),
        ),
        method="by hand",
        cost="macs",
        budget=0.5,
        reached=0.4,
    )


def test_round_trip(tmp_path: Path) -> None:
    save_plan(plan(), tmp_path / "plan.json")
    assert load_plan(tmp_path / "plan.json") == plan()


def test_a_plan_for_another_network() -> None:
    other = nn.Sequential(nn.Conv2d(4, 6, 3), nn.ReLU(), nn.Flatten(), nn.Linear(20, 5))
    with pytest.raises(ValueError, match=re.escape("layer '3' has weights of (5, 20) in the network, but (5, 24)")):
        plan().check(other)
    with pytest.raises(ValueError, match="the plan has a layer '3', but the network's are 0"):
        plan().check(nn.Sequential(nn.Conv2d(4, 6, 3)))
    more = nn.Sequential(*network(), nn.Linear(5, 2))
    with pytest.raises(ValueError, match="the plan has no layer '4', which the network has"):
        plan().check(more)
    assert weight_shapes(network()) == {"0": (6, 4, 3, 3), "3": (5, 24)}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda value: value.pop("budget"), "a plan must have the fields"),
        (lambda value: value.update(version=2), "version must be 1, not 2"),
        (lambda value: value.update(layers={}), "layers must be a list, not {}"),
        (lambda value: value.update(layers=[]), "layers must hold at least one layer"),
        (lambda value: value.update(budget=0), "budget must be above 0 and at most 1"),
        (lambda value: value.update(budget=1.01), "budget must be above 0 and at most 1"),
        (lambda value: value.update(budget=1.5), "budget must be above 0 and at most 1"),
        (lambda value: value.update(granularity=3), "granularity must be text, not 3"),
        (lambda value: value.update(granularity="2:4"), "density of '0' must be 0.5 or 1 with 2:4, not 0.25"),
        (lambda value: value["layers"][1].pop("shape"), "layers[1] must have the fields"),
        (lambda value: value["layers"][1].update(density=0), "layers[1].density must be above 0 and at most 1, not 0"),
        (lambda value: value["layers"][1].update(density=1.01), "layers[1].density must be above 0 and at most 1, not"),
        (lambda value: value["layers"][1].update(density="1"), "layers[1].density must be above 0"),
        (lambda value: value["layers"][0].update(shape=[6, 4, 3]), "layers[0].shape must be the 2 or 4 sizes"),
        (lambda value: value["layers"][0].update(shape=[6, -4]), "layers[0].shape must be"),
        (
            lambda value: value["layers"].append(value["layers"][0]),
            "layers[2].name must be one that no other layer has, not '0'",
        ),
    ],
)
def test_wrong_fields(tmp_path: Path, change: Any, message: str) -> None:
    path = tmp_path / "plan.json"
    save_plan(plan(), path)
    value = json.loads(path.read_text())
    change(value)
    path.write_text(json.dumps(value))
    with pytest.raises(ValueError, match=re.escape(f"{path}: ")) as caught:
        load_plan(path)
    assert message in str(caught.value)


def test_files_that_are_no_plan(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="cannot be read: No such file"):
        load_plan(tmp_path / "none.json")
    (tmp_path / "cut.json").write_text('{"version": 1,')
    with pytest.raises(ValueError, match=r"cut\.json: must be JSON, but"):
        load_plan(tmp_path / "cut.json")
