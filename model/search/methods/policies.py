"""Densities by rules of thumb, which a search must do better than: uniform, shallow, deep (AMC, section 4.1)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.spaces.space import Densities, Space, require_reachable

FLOOR = 0.2
"""Half of a network alone is pruned to this density and no further: AMC lets no layer lose more than 80 %."""

HALVINGS = 30
"""By which the share of a policy that a budget allows is found."""


def uniform(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """The same density for every group."""
    return fitted(space, table, budget, lambda share: {group.name: share for group in space.groups})


def shallow(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """The first half of the groups pruned to one density, down to FLOOR; all of them where the budget asks for more."""
    return _half(space, table, budget, first=True)


def deep(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """The second half of the groups pruned to one density, down to FLOOR; all groups where the budget asks for more."""
    return _half(space, table, budget, first=False)


def _half(space: Space, table: CostTable, budget: float, *, first: bool) -> dict[str, float]:
    middle = len(space.groups) // 2
    pruned = space.groups[:middle] if first else space.groups[middle:]
    names = {group.name for group in pruned}

    def wanted(share: float) -> dict[str, float]:
        # From the dense network, at 1, the one half falls alone; from a share of FLOOR on all fall in proportion.
        other = min(share / FLOOR, 1.0)
        return {group.name: share if group.name in names else other for group in space.groups}

    return fitted(space, table, budget, wanted)


def fitted(
    space: Space,
    table: CostTable,
    budget: float,
    wanted: Callable[[float], Densities],
    limits: Mapping[str, float] | None = None,
) -> dict[str, float]:
    """The densities nearest to those of `wanted` at the largest share (0 to 1) with which they are within `budget` of
    the dense cost; none is above its `limits`.

    `wanted` rises with the share. Where a step of it exceeds the budget, because several groups gain a channel at once,
    the first groups gain theirs as far as the budget reaches. Raises ValueError, with the smallest cost that can be
    reached, where the budget cannot be met.
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
    for group in space.groups:
        name = group.name

        def more(density: float, name: str = name) -> bool:
            return density <= beyond[name] and fits({**best, name: density})

        best[name] = max(best[name], group.largest(more) or 0.0)
    return best
