"""What a search decides upon: the groups of a network that each get one density, and what pruning them means."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeroskip.model.mma.pattern import Pattern
from zeroskip.model.pruning.criteria import Criterion, l1
from zeroskip.model.pruning.masks import keep_largest, kept_count, prunable_layers
from zeroskip.model.pruning.nm import nm_mask, nm_share
from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.plan import WEIGHTS, LayerPlan, Plan, weight_shapes
from zeroskip.model.search.spaces.batch_norm import prune

LEAST_WEIGHTS = 0.02
"""No search leaves a layer less than this fraction of its weights."""

Densities = Mapping[str, float]
"""A density for groups, by name; those that are not named stay whole."""


@dataclass(frozen=True, kw_only=True)
class PruningGroup:
    """What gets one density: of `total` weights, or channels, or members of a group, one of `counts` stay.

    `counts` rise and end with `total`. `layers` are the names of those whose weights, or whose outputs, they are; the
    first of them, in the order in which the network runs them, gives the group its name.
    """

    name: str
    layers: tuple[str, ...]
    total: int
    counts: Sequence[int]

    @property
    def least(self) -> float:
        return self.counts[0] / self.total

    def nearest(self, density: float) -> float:
        """The density that can be, nearest to the given one."""
        return min((self.below(density), self.above(density)), key=lambda near: abs(near - density))

    def below(self, density: float) -> float:
        """The largest density that can be and is not above the given one; `least` where there is none."""
        return self.largest(lambda one: one <= density) or self.least

    def above(self, density: float) -> float:
        """The smallest density that can be and is not below the given one."""
        below = self.below(density)
        at = self.counts.index(round(below * self.total))
        return below if below >= density or below == 1 else self.counts[at + 1] / self.total

    def largest(self, fits: Callable[[float], bool]) -> float | None:
        """The largest density that fits, where all below one that fits do too; None where none does."""
        low, high = -1, len(self.counts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(self.counts[middle] / self.total) else (low, middle)
        return None if low < 0 else self.counts[low] / self.total


class Space(ABC):
    """All plans for the network `module` with one granularity.

    Pruning is done with masks: a pruned network has the shape of the dense one, and can be pruned further. What is
    measured or handed on is one from which `remove` has removed what can be. `calibration` (n, ...) are training
    inputs, by which batch normalisation is measured anew (zeroskip.model.search.spaces.batch_norm).
    """

    def __init__(
        self, module: nn.Module, granularity: str, groups: Sequence[PruningGroup], calibration: Tensor
    ) -> None:
        self.module = module
        self.granularity = granularity
        self.groups = tuple(groups)
        self.calibration = calibration

    @abstractmethod
    def masks(self, module: nn.Module, densities: Densities, criterion: Criterion = l1) -> dict[str, Tensor]:
        """The masks, by parameter name, of a network of the dense one's shape; what is zero there goes first."""

    @abstractmethod
    def points(self, densities: Densities) -> dict[str, tuple[float, ...]]:
        """Where every layer stands on the axes of its cost table (zeroskip.model.search.costs.table)."""

    @abstractmethod
    def outputs(self, densities: Densities) -> dict[str, float]:
        """The density that a plan states for each layer."""

    def pruned(self, module: nn.Module, densities: Densities, criterion: Criterion = l1) -> nn.Module:
        """A copy of a network of the dense one's shape, pruned; in that shape."""
        pruned = copy.deepcopy(module)
        prune(pruned, self.masks(module, densities, criterion), self.calibration)
        return pruned

    def masked(self, densities: Densities, criterion: Criterion = l1) -> nn.Module:
        """The dense network pruned, in its own shape."""
        return self.pruned(self.module, densities, criterion)

    def remove(self, pruned: nn.Module, densities: Densities) -> nn.Module:
        """The network without what is masked, where that can be left out; it computes the same."""
        return pruned

    def least(self) -> dict[str, float]:
        return {group.name: group.least for group in self.groups}

    def plan(self, densities: Densities, *, method: str, cost: str, budget: float, reached: float) -> Plan:
        """The plan of these densities."""
        found = self.outputs(densities)
        shapes = weight_shapes(self.module)
        return Plan(
            granularity=self.granularity,
            layers=tuple(
                LayerPlan(name=name, shape=shape, density=found.get(name, 1.0)) for name, shape in shapes.items()
            ),
            method=method,
            cost=cost,
            budget=budget,
            reached=reached,
        )

    def densities(self, plan: Plan) -> dict[str, float]:
        """The groups' densities in a plan. Raises ValueError where it is one for another network."""
        plan.check(self.module)
        if plan.granularity != self.granularity:
            raise ValueError(f"granularity must be {self.granularity}, not {plan.granularity}")
        given = plan.densities
        found = {group.name: given[group.name] for group in self.groups}
        for name, density in self.outputs(found).items():
            if not math.isclose(given[name], density, abs_tol=1e-6):
                raise ValueError(
                    f"density of '{name}' must be {density:g}, as its channels go with those of others, "
                    f"not {given[name]:g}"
                )
        return found

    def kept(self, densities: Densities) -> float:
        """The fraction of all weights of the network that is left."""
        sizes = {name: math.prod(shape) for name, shape in weight_shapes(self.module).items()}
        points = self.points(densities)
        left = sum(size * math.prod(points.get(name, (1.0,))) for name, size in sizes.items())
        return left / sum(sizes.values())


class LayerSpace(Space):
    """Every layer by itself: single weights, or N:M patterns along the inputs."""

    def __init__(self, module: nn.Module, granularity: str, names: Sequence[str], calibration: Tensor) -> None:
        """`names` of layers that are pruned, in the order in which they run."""
        if granularity != WEIGHTS and Pattern.parse(granularity).dense:
            raise ValueError(f"granularity must be an N:M pattern that prunes, not {granularity!r}")
        layers = prunable_layers(module)
        groups = []
        for name in names:
            if granularity != WEIGHTS and nm_share(layers[name].weight, Pattern.parse(granularity)) == 1:
                # A convolution of one channel has no groups that could lose any.
                continue
            total, counts = self._counts(layers[name].weight, granularity)
            groups.append(PruningGroup(name=name, layers=(name,), total=total, counts=counts))
        if not groups:
            raise ValueError(f"{type(module).__name__} has no layer that {granularity} could prune")
        super().__init__(module, granularity, groups, calibration)

    @staticmethod
    def _counts(weight: Tensor, granularity: str) -> tuple[int, Sequence[int]]:
        if granularity == WEIGHTS:
            return weight.numel(), range(kept_count(weight.numel(), LEAST_WEIGHTS), weight.numel() + 1)
        pattern = Pattern.parse(granularity)
        return pattern.group, (pattern.keep, pattern.group)

    def masks(self, module: nn.Module, densities: Densities, criterion: Criterion = l1) -> dict[str, Tensor]:
        names = {f"{name}.weight".lstrip("."): density for name, density in densities.items() if density < 1}
        scores = criterion(module, "weight") if names else {}
        masks = {}
        for name, density in names.items():
            # What is zero has gone before, whatever a criterion says of it.
            dead = module.get_parameter(name) == 0
            if self.granularity == WEIGHTS:
                live = scores[name].masked_fill(dead, -1.0)
                masks[name] = keep_largest(live, kept_count(live.numel(), density))
            else:
                # A score stands for the magnitude there; one of nothing must still be above what is gone.
                live = scores[name].clamp(min=torch.finfo(torch.float32).tiny).masked_fill(dead, 0.0)
                masks[name] = nm_mask(live, Pattern.parse(self.granularity))
        return masks

    def points(self, densities: Densities) -> dict[str, tuple[float, ...]]:
        return {name: (density,) for name, density in self.outputs(densities).items()}

    def outputs(self, densities: Densities) -> dict[str, float]:
        return {group.name: densities.get(group.name, 1.0) for group in self.groups}

    def kept(self, densities: Densities) -> float:
        if self.granularity == WEIGHTS:
            return super().kept(densities)
        pattern = Pattern.parse(self.granularity)
        weights = {name: layer.weight for name, layer in prunable_layers(self.module).items()}
        left = sum(
            weight.numel() * (nm_share(weight, pattern) if densities.get(name, 1.0) < 1 else 1.0)
            for name, weight in weights.items()
        )
        return left / sum(weight.numel() for weight in weights.values())


def cost_share(space: Space, table: CostTable, densities: Densities) -> float:
    """What a plan costs, as a fraction of the dense network."""
    return table.total(space.points(densities)) / table.dense


def require_reachable(space: Space, table: CostTable, budget: float, smallest: Densities) -> None:
    """Raise ValueError unless a budget is a fraction of the dense cost that the `smallest` densities meet."""
    if not 0 < budget <= 1:
        raise ValueError(f"budget must be above 0 and at most 1, a fraction of the dense cost, not {budget}")
    reached = cost_share(space, table, smallest)
    if reached > budget:
        raise ValueError(
            f"budget {budget} of the dense {table.cost} cannot be met: the smallest cost that can be reached is "
            f"{reached:.4f} of it"
        )
