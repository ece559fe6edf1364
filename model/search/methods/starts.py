"""The plans with which sensitivity analysis and AMC begin: the knapsack's, and those of rules that take no search."""

from __future__ import annotations

from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.methods.policies import RULES, rules_for
from zeroskip.model.search.spaces.space import Densities, Space

KNAPSACK = "knapsack"


def starts(space: Space, table: CostTable, budget: float, packed: Densities) -> dict[str, dict[str, float]]:
    """Plans within the `budget`, a fraction of the dense cost, by where they come from: the knapsack's, `packed`, and
    those of the simple rules for the granularity.

    The knapsack takes the losses that groups cause alone to add up. Where nearly all is pruned they do not, and a rule
    may be ahead: LeNet-5 with 5 % of its weights, LAMP.
    """
    rules = {name: RULES[name][0](space, table, budget) for name in rules_for(space.granularity)}
    return {KNAPSACK: dict(packed), **rules}
