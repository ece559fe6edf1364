"""Hand-made policies, and plans that are fitted to a budget."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.searching import GEOMETRIES, space_of, table_of
from torch import nn

from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.methods.policies import FLOOR, deep, fit_to_budget, shallow, uniform
from zeroskip.model.search.spaces.space import LayerSpace, Space

Policy = Callable[[Space, CostTable, float], dict[str, float]]


def reached(space: Space, table: CostTable, densities: dict[str, float]) -> float:
    return table.total(space.points(densities)) / table.dense


@pytest.mark.parametrize("policy", [uniform, shallow, deep])
@pytest.mark.parametrize("granularity", ["weights", "channels", "2:4"])
@pytest.mark.parametrize("budget", [0.97, 0.75, 0.6])
def test_within_the_budget_and_no_unit_could_have_more(policy: Policy, granularity: str, budget: float) -> None:
    space, table = space_of(granularity), table_of("macs", granularity)
    densities = policy(space, table, budget)
    assert list(densities) == [group.name for group in space.groups]
    assert reached(space, table, densities) <= budget
    if policy is not uniform:
        # These policies do not prune one half.
        return
    for group in space.groups:
        more = group.above(densities[group.name] + 1e-9) if densities[group.name] < 1 else None
        assert more is None or reached(space, table, {**densities, group.name: more}) > budget


def test_what_each_prunes() -> None:
    space, table = space_of(), table_of()
    even = uniform(space, table, 0.5)
    assert even["0"] == pytest.approx(even["2"], abs=1 / 64)
    # The second layer has 64 of the 224 weights.
    assert shallow(space, table, 0.6) == {"0": pytest.approx((0.6 * 224 - 64) / 160, abs=1 / 160), "2": 1.0}
    assert deep(space, table, 0.8) == {"0": 1.0, "2": pytest.approx((0.8 * 224 - 160) / 64, abs=1 / 64)}


def test_both_halves_where_one_is_not_enough() -> None:
    densities = deep(space_of(), table_of(), 0.5)
    assert densities["0"] < 1
    assert densities["2"] == pytest.approx(FLOOR * densities["0"], abs=1 / 64)


def test_a_budget_that_asks_nothing() -> None:
    for policy in (uniform, shallow, deep):
        assert set(policy(space_of(), table_of(), 1.0).values()) == {1.0}


def test_limits_are_kept() -> None:
    space, table = space_of(), table_of()
    names = [group.name for group in space.groups]
    densities = fit_to_budget(space, table, 0.6, lambda share: dict.fromkeys(names, share), {"0": 0.25})
    assert densities["0"] == 0.25
    # The budget that one group must not use goes to the other.
    assert densities["2"] == 1.0


@pytest.mark.parametrize("policy", [uniform, shallow, deep])
def test_budgets_that_cannot_be_met(policy: Policy) -> None:
    with pytest.raises(ValueError, match=r"budget 0\.01 of the dense macs cannot be met: the smallest cost"):
        policy(space_of(), table_of(), 0.01)
    with pytest.raises(ValueError, match="budget must be above 0 and at most 1"):
        policy(space_of(), table_of(), 0.0)


def test_shallow_and_deep_halve_an_odd_number_of_groups_before_the_middle() -> None:
    """Of three groups, the first is the first half."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10)).eval()
    layers = read_layers(module, np.ones((2, 10), np.float32))
    space = LayerSpace(module, "weights", ["0", "2", "4"], torch.empty(0))
    table = cost_table("macs", layers, "weights", geometries=GEOMETRIES)
    assert shallow(space, table, 0.9) == {"0": pytest.approx(0.7), "2": 1.0, "4": 1.0}
    assert deep(space, table, 0.9) == {"0": 1.0, "2": pytest.approx(0.85), "4": pytest.approx(0.85)}
    # At the floor of 0.2 both later groups are as far as they go alone: (1 + 0.4) / 3 of the cost.
    assert deep(space, table, 0.4667) == {"0": 1.0, "2": pytest.approx(0.2), "4": pytest.approx(0.2)}


def test_the_first_groups_take_what_several_at_once_would_exceed() -> None:
    """Both layers gain a weight at the same share: half of 200 weights are 50 each, with one more the first has 51."""
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(10, 10), nn.ReLU(), nn.Linear(10, 10)).eval()
    layers = read_layers(module, np.ones((2, 10), np.float32))
    space = LayerSpace(module, "weights", ["0", "2"], torch.empty(0))
    table = cost_table("macs", layers, "weights", geometries=GEOMETRIES)
    assert uniform(space, table, 0.5) == {"0": 0.5, "2": 0.5}
    assert uniform(space, table, 0.5051) == {"0": 0.51, "2": 0.5}
    assert uniform(space, table, 0.5101) == {"0": 0.51, "2": 0.51}
