"""The plan with the least damage within a budget, where the damages of the groups add up: a multiple-choice knapsack.

Each group takes one of its densities. Where channels are removed, the cost of a layer depends on the density of its
inputs and on that of its outputs, so the knapsack has a variable for each pair of choices (the local marginal polytope,
Wainwright and Jordan, 2008, section 4.1). HiGHS solves it by branch and bound, and bounds what is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, LinearConstraint, milp
from scipy.sparse import coo_array

from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.methods.policies import raised
from zeroskip.model.search.spaces.space import PruningGroup, Space, cost_share, require_reachable

CHOICES, PAIRED = 256, 32
"""Densities of a group that are considered, beside those where its damage or a cost bends: fewer where the costs depend
on pairs of groups."""

GAP = 1e-3
NODES = 1000
"""The solver stops when its plan is proven to be within the fraction GAP of the least damage, or after NODES nodes of
its tree: not after a time, so that the plan is the same on each machine."""

ROUNDS = 20
SHRINK = 0.999
"""The cost of a layer whose inputs are of three or more groups is estimated. While the plan exceeds the budget, it is
packed again with a budget that is smaller in proportion, and by SHRINK."""

Curve = tuple[NDArray[np.float64], NDArray[np.float64]]
"""Densities, rising to 1, and the damage at each, falling to 0. Between them the damage is interpolated."""


Axis = dict[int | None, float]
"""The groups on an axis of a layer's table, by number, and how much of it belongs to each."""

Cost = Callable[[float, float], float]
"""The cost of a layer at the densities of a group of its inputs, and of one of its outputs."""


@dataclass(frozen=True, kw_only=True)
class Packed:
    """The `densities` of all groups, their `damage`, and a lower `bound` of the damage of all plans within the budget
    that take densities from the same choices."""

    densities: dict[str, float]
    damage: float
    bound: float


def pack(space: Space, table: CostTable, budget: float, curves: Mapping[str, Curve]) -> Packed:
    """The plan within `budget` (a fraction of the dense cost) whose sum of damages is the smallest. `curves` are those
    of the groups, by their names.

    What the choices leave of the budget goes to the groups with the most damage. Raises ValueError, with the smallest
    cost that can be reached, where the budget cannot be met.
    """
    require_reachable(space, table, budget, space.least())
    problem = _Problem(space, table, curves)
    limit = budget
    for _ in range(ROUNDS):
        found = problem.solve(limit)
        if found is None:
            break
        densities, bound = found
        share = cost_share(space, table, densities)
        if share <= budget:
            return _filled(space, table, budget, curves, densities, bound)
        limit *= SHRINK * budget / share
    return _filled(space, table, budget, curves, space.least(), 0.0)


def _filled(
    space: Space,
    table: CostTable,
    budget: float,
    curves: Mapping[str, Curve],
    densities: dict[str, float],
    bound: float,
) -> Packed:
    worst_first = sorted(space.groups, key=lambda group: -_at(curves[group.name], densities[group.name]))
    plan = raised(worst_first, densities, lambda plan, _: cost_share(space, table, plan) <= budget)
    total = sum(_at(curves[name], density) for name, density in plan.items())
    return Packed(densities=plan, damage=total, bound=min(bound, total))


def _at(curve: Curve, density: float) -> float:
    return float(np.interp(density, *curve))


class _Problem:
    """The knapsack of a network: its choices, and what they cost and damage."""

    def __init__(self, space: Space, table: CostTable, curves: Mapping[str, Curve]) -> None:
        self.dense = table.dense
        self.names = [group.name for group in space.groups]
        self.choices = [_choices(group, table, curves[group.name]) for group in space.groups]
        self.damages = [
            np.interp(choices, *curves[name]) for name, choices in zip(self.names, self.choices, strict=True)
        ]
        self.fixed = 0.0
        self.alone = [np.zeros(len(choices)) for choices in self.choices]
        self.pairs: dict[tuple[int, int], NDArray[np.float64]] = {}
        shares = _shares(space)
        for name in table.layers:
            self._add(table, name, shares.get(name, ()))

    def _add(self, table: CostTable, name: str, axes: Sequence[Axis]) -> None:
        """Adds the cost of a layer; `axes` has the groups on each axis of its table, and their shares of it.

        If several groups share an axis, the cost is the mean over them, weighted by their shares, of the cost if all of
        these had the density of one. This is exact where the cost is linear along the axis.
        """
        # Two axes, of which the first, or both, may have no group that is pruned.
        none: Axis = {}
        first, second = [none] * (2 - len(axes)) + list(axes)
        whole = sum(first.values()), sum(second.values())
        size = len(table.layers[name].axes)

        def cost(one: float, other: float) -> float:
            point = (1 - whole[0] * (1 - one), 1 - whole[1] * (1 - other))
            return table.layer(name, point[2 - size :])

        if not first and not second:
            self.fixed += cost(1.0, 1.0)
        for one, part in (first or {None: 1.0}).items():
            for other, share in (second or {None: 1.0}).items():
                weight = part / (whole[0] or 1.0) * share / (whole[1] or 1.0)
                if one is None or other is None or one == other:
                    self._add_alone(one, other, weight, cost)
                else:
                    self._add_pair(one, other, weight, cost)

    def _add_alone(self, one: int | None, other: int | None, weight: float, cost: Cost) -> None:
        group = other if one is None else one
        if group is not None:
            for at, density in enumerate(self.choices[group].tolist()):
                here, there = (1.0 if side is None else density for side in (one, other))
                self.alone[group][at] += weight * cost(here, there)

    def _add_pair(self, one: int, other: int, weight: float, cost: Cost) -> None:
        mine, theirs = self.choices[one].tolist(), self.choices[other].tolist()
        values = weight * np.array([[cost(density, beside) for beside in theirs] for density in mine])
        if one > other:
            one, other, values = other, one, values.T
        self.pairs[one, other] = self.pairs.get((one, other), 0.0) + values

    def solve(self, budget: float) -> tuple[dict[str, float], float] | None:
        """The densities and the bound of the damage; None where no choices are within the budget."""
        starts = np.cumsum([0, *map(len, self.choices)])
        size = int(starts[-1])
        rows: list[NDArray[np.int64]] = [np.repeat(np.arange(len(self.choices)), np.diff(starts))]
        columns: list[NDArray[np.int64]] = [np.arange(size)]
        values: list[NDArray[np.float64]] = [np.ones(size)]
        right = [1.0] * len(self.choices)
        costs = [np.concatenate(self.alone)]
        for (one, other), pair in self.pairs.items():
            at: NDArray[np.int64] = size + np.arange(pair.size).reshape(pair.shape)
            size += pair.size
            costs.append(pair.ravel())
            # The pairs of a choice sum to the choice.
            for group, number in ((one, at), (other, at.T)):
                row = len(right) + np.arange(len(number))
                rows += [np.repeat(row, number.shape[1]), row]
                columns += [number.ravel(), starts[group] + np.arange(len(number))]
                values += [np.ones(number.size), np.full(len(number), -1.0)]
                right += [0.0] * len(number)
        entries = (np.concatenate(values), (np.concatenate(rows), np.concatenate(columns)))
        sums = coo_array(entries, shape=(len(right), size)).tocsr()
        whole = np.concatenate(costs) / self.dense
        objective = np.zeros(size)
        objective[: starts[-1]] = np.concatenate(self.damages)
        found = milp(
            objective,
            integrality=(np.arange(size) < starts[-1]).astype(int),
            bounds=Bounds(0, 1),
            constraints=[
                LinearConstraint(sums, right, right),
                LinearConstraint(whole[None], -np.inf, budget - self.fixed / self.dense),
            ],
            options={"mip_rel_gap": GAP, "node_limit": NODES},
        )
        if found.x is None:
            return None
        chosen = [int(np.argmax(found.x[start:end])) for start, end in pairwise(starts)]
        densities = [float(choices[at]) for choices, at in zip(self.choices, chosen, strict=True)]
        return dict(zip(self.names, densities, strict=True)), float(found.mip_dual_bound)


def _choices(group: PruningGroup, table: CostTable, curve: Curve) -> NDArray[np.float64]:
    """Possible densities of a group, rising: all, or some of them, evenly spaced both by difference and by ratio, with
    those where its damage, or the cost of one of its layers, bends."""
    paired = any(len(layer.axes) > 1 for layer in table.layers.values())
    count = PAIRED if paired else CHOICES
    if len(group.counts) <= count:
        return np.array(group.counts) / group.total
    bends = [density for name in group.layers for density in table.layers[name].axes[-1]]
    spaced = [*np.geomspace(group.least, 1.0, count // 2).tolist(), *np.linspace(group.least, 1.0, count // 2).tolist()]
    return np.array(sorted({group.nearest(density) for density in (*curve[0].tolist(), *bends, *spaced)}))


def _shares(space: Space) -> dict[str, list[Axis]]:
    """For each layer, for each axis of its table, the groups on it and how much of it belongs to each."""
    found: dict[str, list[Axis]] = {}
    whole = space.points(dict.fromkeys(space.least(), 1.0))
    for number, group in enumerate(space.groups):
        if group.least == 1:
            continue
        for name, point in space.points({**dict.fromkeys(space.least(), 1.0), group.name: group.least}).items():
            axes = found.setdefault(name, [{} for _ in point])
            for axis, (before, now) in zip(axes, zip(whole[name], point, strict=True), strict=True):
                if now < before:
                    axis[number] = (before - now) / (1 - group.least)
    return found
