"""Simple rules, the baselines of a search, and plans that are fitted to a budget."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping

import torch
from torch import Tensor

from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.plan import CHANNELS, WEIGHTS, weight_shapes
from zeroskip.model.search.spaces.space import Densities, PruningGroup, Space, require_reachable

HALVINGS = 30
"""Steps of the bisection that fits a policy to a budget."""

Rule = Callable[[Space, CostTable, float], dict[str, float]]
"""Gives the densities of all groups of a plan within a budget (a fraction of the dense cost). Raises ValueError, with
the smallest cost that can be reached, where the budget cannot be met."""


def uniform(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """The same density for every group."""
    return fit_to_budget(space, table, budget, lambda share: {group.name: share for group in space.groups})


def erk(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """Erdos-Renyi kernels (Evci et al., ICML 2020, section 3): the density of a layer's weights is proportional to
    (outputs + inputs + height + width) / (outputs * inputs * height * width) of its kernel, at most 1."""
    shapes = weight_shapes(space.module)
    ratios = {group.name: sum(shapes[group.name]) / math.prod(shapes[group.name]) for group in space.groups}
    most = min(ratios.values())
    return fit_to_budget(
        space, table, budget, lambda share: {name: min(1.0, share * ratio / most) for name, ratio in ratios.items()}
    )


def lamp(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """LAMP (Lee et al., ICLR 2021, section 2): all weights, or channels, of the network compete by their squared
    magnitude as a fraction of the sum over those of their group that are not smaller."""

    def scores(magnitudes: Tensor) -> Tensor:
        squares, order = (magnitudes.double() ** 2).sort()
        # The sum over all from here on.
        sums = squares.flip(0).cumsum(0).flip(0).clamp(min=torch.finfo(torch.float64).tiny)
        return torch.empty_like(squares).index_copy_(0, order, squares / sums)

    return _competing(space, table, budget, scores)


def global_magnitude(space: Space, table: CostTable, budget: float) -> dict[str, float]:
    """All weights of the network compete by their magnitudes, or all channels by the mean magnitudes of theirs."""
    return _competing(space, table, budget, lambda magnitudes: magnitudes.double())


RULES: dict[str, tuple[Rule, tuple[str, ...] | None]] = {
    "uniform": (uniform, None),
    "erk": (erk, (WEIGHTS,)),
    "lamp": (lamp, (WEIGHTS, CHANNELS)),
    "global": (global_magnitude, (WEIGHTS, CHANNELS)),
}
"""The rules by name, and the granularities that they are for; None for all."""


def rules_for(granularity: str) -> tuple[str, ...]:
    """The names of the rules for a granularity."""
    return tuple(name for name, (_, allowed) in RULES.items() if allowed is None or granularity in allowed)


def _competing(space: Space, table: CostTable, budget: float, scores: Callable[[Tensor], Tensor]) -> dict[str, float]:
    """The plan that keeps the highest scores of the whole network; `scores` gives those of a group, from the magnitudes
    of its weights or channels."""
    by_group = {name: scores(magnitudes) for name, magnitudes in space.magnitudes().items()}
    sizes = torch.tensor([len(own) for own in by_group.values()])
    order = torch.cat(list(by_group.values())).argsort(descending=True, stable=True)
    groups = torch.repeat_interleave(torch.arange(len(sizes)), sizes)[order]

    def wanted(share: float) -> dict[str, float]:
        kept = torch.bincount(groups[: round(share * len(groups))], minlength=len(sizes)) / sizes
        return dict(zip(by_group, kept.tolist(), strict=True))

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
        if sum(best[name] != beyond[name] for name in best) == 1:
            # The rest of the halvings would only raise this group.
            break
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
