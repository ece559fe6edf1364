"""Brings plans to one exact cost: where a cost table is not exact, plans that are equal by it differ in cycles."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import nn

from zeroskip.model.device import CPU, moved
from zeroskip.model.pruning.criteria import l2
from zeroskip.model.search.costs.table import cost_table
from zeroskip.model.search.layers import read_layers
from zeroskip.model.search.methods.policies import fit_to_budget
from zeroskip.model.search.plan import CHANNELS
from zeroskip.model.search.setup import SAMPLE, Setup
from zeroskip.model.search.spaces.space import Densities, cost_share

TRIES, LAST = 8, 20
ENOUGH = 0.995
"""A plan is sought until its exact cost is between the fraction ENOUGH of the budget and the budget: at most TRIES
times, or LAST where none of these is within the budget."""

SMALLER = 0.99
"""After TRIES, each next limit is at least smaller by this factor."""


@dataclass(frozen=True, kw_only=True, eq=False)
class Sized:
    """A plan's `densities`, its pruned `network` (in the dense shape, but for another library's pruner), and its exact
    cost, as a fraction of the dense one."""

    densities: dict[str, float]
    network: nn.Module
    cost: float


@dataclass(frozen=True, kw_only=True, eq=False)
class ExactBudget:
    """A `budget` of the exact cost of the whole network, a fraction of the dense one, `dense`: cycles of the network as
    it is compiled, or its seconds. `dense` is None where the table is exact."""

    setup: Setup
    dense: float | None
    budget: float

    def sized(self, densities: Densities, network: nn.Module | None = None) -> Sized:
        """A plan with its exact cost; `network` is its pruned network, or it is pruned from the dense one."""
        space = self.setup.space
        pruned = space.masked(densities) if network is None else network
        return Sized(densities=dict(densities), network=pruned, cost=self._cost(pruned, densities))

    def of(self, network: nn.Module) -> float:
        """The exact cost of a network whose channels are removed."""
        if self.dense is not None and (exact := self.setup.exact_cost(network)) is not None:
            return exact / self.dense
        table = self.setup.table
        layers = read_layers(moved(network, CPU), self.setup.dataset.train_inputs[:SAMPLE])
        left = cost_table(table.cost, layers, CHANNELS, geometries=self.setup.geometries)
        return left.dense / table.dense

    def nearest(self, find: Callable[[float], Densities]) -> tuple[Sized, float]:
        """The largest plan that `find` gives within the budget, and its limit: `find` gives a plan by its limit of the
        cost by the table, a fraction of the dense cost."""
        return self._sought(lambda limit: self.sized(find(limit)), self.budget)

    def adjusted(self, densities: Densities, adapted: nn.Module | None = None) -> Sized:
        """The plan itself if it uses up the budget, or else all its densities raised to one power that does. `adapted`
        is the network that a search trained on its way to the plan: then it is pruned further, or gets weights of the
        dense one back."""
        space, table = self.setup.space, self.setup.table
        plan = self.sized(densities, adapted)
        if self.dense is None or ENOUGH * self.budget <= plan.cost <= self.budget:
            return plan

        def at(limit: float) -> Sized:
            def wanted(share: float) -> dict[str, float]:
                return {name: density ** (1 / max(share, 1e-9) - 1) for name, density in densities.items()}

            found = fit_to_budget(space, table, limit, wanted)
            if adapted is None:
                return self.sized(found)
            return self.sized(found, space.pruned(space.restored(adapted, densities, found, l2), found, l2))

        start = cost_share(space, table, densities) * self.budget / plan.cost
        return self._sought(at, start)[0]

    def _sought(self, at: Callable[[float], Sized], limit: float) -> tuple[Sized, float]:
        """The largest plan of those tried that meets the budget, and its limit. Each next limit is smaller or larger in
        proportion. Exact costs do not rise evenly with the limit, as networks are quantised and shared anew."""
        best: tuple[Sized, float] | None = None
        for number in range(LAST):
            try:
                found = at(min(limit, 1.0))
            except ValueError:
                # A smaller limit cannot be met.
                if best is None:
                    raise
                break
            if found.cost <= self.budget and (best is None or found.cost > best[0].cost):
                best = found, limit
            enough = best is not None and (best[0].cost >= ENOUGH * self.budget or best[1] >= 1 or self.dense is None)
            if enough or (best is not None and number >= TRIES - 1):
                break
            limit = min(limit, 1.0) * min(self.budget / found.cost, SMALLER if number >= TRIES else math.inf)
        if best is None:
            raise ValueError(
                f"budget {self.budget} of the dense {self.setup.table.cost} cannot be met by the exact model: "
                f"{LAST} plans cost more"
            )
        return best

    def _cost(self, pruned: nn.Module, densities: Densities) -> float:
        space, table = self.setup.space, self.setup.table
        if self.dense is None:
            return cost_share(space, table, densities)
        exact = self.setup.exact_cost(space.remove(pruned, densities))
        return cost_share(space, table, densities) if exact is None else exact / self.dense
