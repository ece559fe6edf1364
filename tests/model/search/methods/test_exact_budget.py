"""Plans that are brought to one exact cost, which differs from that of the table."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from support.searching import GEOMETRIES, signs
from torch import nn

from zeroskip.model.search.methods.exact_budget import ExactBudget
from zeroskip.model.search.methods.policies import uniform
from zeroskip.model.search.setup import Setup, prepare
from zeroskip.model.search.spaces.space import cost_share

FIXED = 100
"""What the exact cost has beside the weights: it is no part of the table."""

WEIGHTS = 8 * 40 + 40 * 3
DENSE = float(WEIGHTS + FIXED)


def nonzero(network: nn.Module) -> int:
    return sum(int(layer.weight.count_nonzero()) for layer in network if isinstance(layer, nn.Linear))


@pytest.fixture
def setup(monkeypatch: pytest.MonkeyPatch) -> Setup:
    torch.manual_seed(0)
    module = nn.Sequential(nn.Linear(8, 40), nn.ReLU(), nn.Linear(40, 3))
    monkeypatch.setattr(Setup, "exact_cost", lambda _, network: float(nonzero(network) + FIXED))
    return prepare(module, signs(), granularity="weights", cost="macs", geometries=GEOMETRIES, seed=0, cache=None)


@pytest.mark.parametrize("budget", [0.3, 0.5, 0.8, 1.0])
def test_a_rule_uses_the_exact_budget_up(setup: Setup, budget: float) -> None:
    """With one weight more of each layer it would not: the exact cost of a plan is that of its kept weights."""
    exact = ExactBudget(setup=setup, dense=DENSE, budget=budget)
    found, limit = exact.nearest(lambda limit: uniform(setup.space, setup.table, limit))
    assert found.cost == (nonzero(found.network) + FIXED) / DENSE
    assert budget - 4 / DENSE < found.cost <= budget
    assert found.densities == uniform(setup.space, setup.table, min(limit, 1.0))


def test_a_budget_that_no_plan_meets(setup: Setup) -> None:
    exact = ExactBudget(setup=setup, dense=DENSE, budget=0.15)
    with pytest.raises(ValueError, match="cannot be met"):
        exact.nearest(lambda limit: uniform(setup.space, setup.table, limit))


def test_a_table_that_is_exact_is_asked_once(setup: Setup) -> None:
    asked: list[float] = []

    def find(limit: float) -> dict[str, float]:
        asked.append(limit)
        return uniform(setup.space, setup.table, limit)

    found, limit = ExactBudget(setup=setup, dense=None, budget=0.5).nearest(find)
    assert asked == [limit] == [0.5]
    assert found.cost == cost_share(setup.space, setup.table, found.densities)


def test_costs_that_do_not_rise_evenly(setup: Setup, monkeypatch: pytest.MonkeyPatch) -> None:
    """The exact cost jumps by up to a twentieth from plan to plan: the plan is within the budget all the same."""

    def uneven(_: Setup, network: nn.Module) -> float:
        count = nonzero(network)
        return count + FIXED + (17 * count) % 23

    monkeypatch.setattr(Setup, "exact_cost", uneven)
    exact = ExactBudget(setup=setup, dense=DENSE, budget=0.5)
    found, _ = exact.nearest(lambda limit: uniform(setup.space, setup.table, limit))
    assert 0.45 < found.cost <= 0.5


@pytest.mark.parametrize(("before", "change"), [(0.7, int.__lt__), (0.2, int.__gt__)])
def test_a_plan_is_adjusted(setup: Setup, before: float, change: Callable[[int, int], bool]) -> None:
    """A plan that costs too much loses weights in all layers, one that costs less gains some; an adapted network keeps
    its own weights where it can."""
    plan = {"0": setup.space.groups[0].nearest(before), "2": setup.space.groups[1].nearest(before / 2)}
    adapted = setup.space.masked(plan)
    with torch.no_grad():
        for layer in (adapted[0], adapted[2]):  # type: ignore[index]
            layer.weight.mul_(1.5)
    exact = ExactBudget(setup=setup, dense=DENSE, budget=0.5)
    for network in (None, adapted):
        found = exact.adjusted(plan, network)
        assert 0.5 - 4 / DENSE < found.cost <= 0.5
        assert change(nonzero(found.network), nonzero(adapted))
        assert found.densities["0"] > found.densities["2"]
    fixed = ExactBudget(setup=setup, dense=DENSE, budget=(nonzero(adapted) + FIXED) / DENSE)
    assert fixed.adjusted(plan, adapted).network is adapted
    mine, theirs = (adapted[0].weight != 0, found.network[0].weight != 0)  # type: ignore[index]
    assert bool((mine & theirs == (mine if before < 0.5 else theirs)).all())
