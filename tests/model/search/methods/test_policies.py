"""Simple rules, and plans that are fitted to a budget."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from support.searching import GEOMETRIES, space_of, table_of
from torch import nn

from zeroskip.model.search.costs.table import CostTable, cost_table
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.methods.policies import RULES, erk, fit_to_budget, global_magnitude, lamp, rules_for, uniform
from zeroskip.model.search.spaces.space import LayerSpace, Space

Policy = Callable[[Space, CostTable, float], dict[str, float]]


def reached(space: Space, table: CostTable, densities: dict[str, float]) -> float:
    return table.total(space.points(densities)) / table.dense


@pytest.mark.parametrize(
    ("rule", "granularity"), [(name, kind) for kind in ("weights", "channels", "2:4") for name in rules_for(kind)]
)
@pytest.mark.parametrize("budget", [0.97, 0.75, 0.6])
def test_within_the_budget_and_no_unit_could_have_more(rule: str, granularity: str, budget: float) -> None:
    space, table = space_of(granularity), table_of("macs", granularity)
    densities = RULES[rule][0](space, table, budget)
    assert list(densities) == [group.name for group in space.groups]
    assert reached(space, table, densities) <= budget
    if rule != "uniform":
        # These rules do not give what is left to any group.
        return
    for group in space.groups:
        more = group.above(densities[group.name] + 1e-9) if densities[group.name] < 1 else None
        assert more is None or reached(space, table, {**densities, group.name: more}) > budget


def test_what_each_prunes() -> None:
    space, table = space_of(), table_of()
    even = uniform(space, table, 0.5)
    assert even["0"] == pytest.approx(even["2"], abs=1 / 64)
    # The layers are 10 x 16 and 16 x 4, whose ratios are 26 / 160 and 20 / 64.
    sparse = erk(space, table, 0.5)
    assert sparse["0"] / sparse["2"] == pytest.approx((26 / 160) / (20 / 64), rel=0.03)
    assert erk(space, table, 0.9)["2"] == 1.0
    assert reached(space, table, sparse) == pytest.approx(0.5, abs=1 / 224)


def test_the_largest_weights_of_the_whole_network_stay() -> None:
    """112 of 224 weights, by torch's own ranking."""
    space, table = space_of(), table_of()
    layers = [module.weight.detach().abs() for module in space.module if isinstance(module, nn.Linear)]
    least = torch.cat([layer.flatten() for layer in layers]).topk(112).values[-1]
    kept = [int((layer >= least).sum()) for layer in layers]
    found = global_magnitude(space, table, 0.5)
    assert [round(found[name] * size) for name, size in (("0", 160), ("2", 64))] == kept


def test_lamp_keeps_the_highest_of_its_scores() -> None:
    """Each score by hand: the square over the sum of the squares that are not smaller."""
    space, table = space_of(), table_of()
    scores = []
    for module in space.module:
        if isinstance(module, nn.Linear):
            squares = (module.weight.detach().double().flatten() ** 2).tolist()
            scores.append([square / sum(other for other in squares if other >= square) for square in squares])
    least = sorted((one for layer in scores for one in layer), reverse=True)[111]
    kept = [sum(one >= least for one in layer) for layer in scores]
    found = lamp(space, table, 0.5)
    assert [round(found[name] * size) for name, size in (("0", 160), ("2", 64))] == kept


def test_channels_compete_by_the_mean_magnitudes_of_their_weights() -> None:
    space, table = space_of("channels"), table_of("macs", "channels")
    layers = {name: module for name, module in space.module.named_modules() if isinstance(module, nn.Linear)}
    for group in space.groups:
        means = torch.stack([layers[name].weight.detach().abs().mean(1) for name in group.layers]).mean(0)
        torch.testing.assert_close(space.magnitudes()[group.name], means)
    assert reached(space, table, global_magnitude(space, table, 0.5)) <= 0.5


def test_a_budget_that_asks_nothing() -> None:
    for name in rules_for("weights"):
        assert set(RULES[name][0](space_of(), table_of(), 1.0).values()) == {1.0}


def test_limits_are_kept() -> None:
    space, table = space_of(), table_of()
    names = [group.name for group in space.groups]
    densities = fit_to_budget(space, table, 0.6, lambda share: dict.fromkeys(names, share), {"0": 0.25})
    assert densities["0"] == 0.25
    # The budget that one group must not use goes to the other.
    assert densities["2"] == 1.0


@pytest.mark.parametrize("policy", [uniform, erk, lamp, global_magnitude])
def test_budgets_that_cannot_be_met(policy: Policy) -> None:
    with pytest.raises(ValueError, match=r"budget 0\.01 of the dense macs cannot be met: the smallest cost"):
        policy(space_of(), table_of(), 0.01)
    with pytest.raises(ValueError, match="budget must be above 0 and at most 1"):
        policy(space_of(), table_of(), 0.0)


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
