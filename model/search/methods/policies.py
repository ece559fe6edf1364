"""Hand-made policies, the baselines of a search: uniform, shallow and deep (AMC, section 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.spaces.space import Densities, PruningGroup, Space, require_reachable

FLOOR = 0.2
"""Only half of a network is pruned, down to this density: AMC removes at most 80 % of a layer."""

HALVINGS = 30
"""Steps of the bisection that fits a policy to a budget."""


def uniform(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """The same density for every group."""
    return fit_to_budget(space, table, budget, lambda share: {group.name: share for group in space.groups})


def shallow(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """One density for the first half of the groups, at least FLOOR. If that is not enough, all groups are pruned."""
    return _half(space, table, budget, first=True)


def deep(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """One density for the second half of the groups, at least FLOOR. If that is not enough, all groups are pruned."""
    return _half(space, table, budget, first=False)


def _half(space: Space, table: CostTable, budget: float, *, first: bool) -> dict[str, float]:
    middle = len(space.groups) // 2
    pruned = space.groups[:middle] if first else space.groups[middle:]
    names = {group.name for group in pruned}

    def wanted(share: float) -> dict[str, float]:
        # Between 1 and FLOOR only one half falls; below FLOOR all groups fall in proportion.
        other = min(share / FLOOR, 1.0)
        return {group.name: share if group.name in names else other for group in space.groups}

    return fit_to_budget(space, table, budget, wanted)


def fit_to_budget(
    space: Space,
    table: CostTable,
    budget: float,
    wanted: Callable[[float], Densities],
    limits: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """The possible densities nearest to `wanted(share)`, for the largest share (0 to 1) that is within the budget.

    `wanted` gives the densities of all groups and must rise with the share. `budget` is a fraction of the dense cost,
    `limits` the largest density of each group. At the largest share, the next step may exceed the budget because
    several groups gain a channel at once; then the first groups gain theirs until the budget is used up. Raises
    ValueError, with the smallest cost that can be reached, where the budget cannot be met.
    """
    require_reachable(space, table, budget, space.least())
    limit = budget * table.dense
    most = dict.fromkeys(space.least(), 1.0) | dict(limits or {})

    def at(share: float) -> dict[str, float]:
        asked = wanted(share)
        return {group.name: group.nearest(min(asked[group.name], most[group.name])) for group in space.groups}

    def fits(densities: Densities) -> bool:
        return table.total(space.points(densities)) <= limit

    best, beyond = space.least(), at(1.0)
    if fits(beyond):
        return beyond
    low, high = 0.0, 1.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        densities = at(middle)
        if fits(densities):
            low, best = middle, densities
        else:
            high, beyond = middle, densities
    return raised(space.groups, best, lambda plan, name: plan[name] <= beyond[name] and fits(plan))


def raised(groups: Iterable[PruningGroup], plan: Densities, fits: Callable[[Densities, str], bool]) -> dict[str, float]:
    """The plan with the largest density of one group after the other for which it still `fits`; the second argument of
    `fits` is the group that was raised."""
    plan = dict(plan)
    for group in groups:

        def more(density: float, name: str = group.name) -> bool:
            return fits({**plan, name: density}, name)

        plan[group.name] = max(plan[group.name], group.largest(more) or 0.0)
    return plan
