"""The search space: the pruning groups of a network, and how they are pruned."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, partial

import torch
from torch import Tensor, nn

from zeroskip.model.device import moved
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.criteria import Criterion, l1, magnitude
from zeroskip.model.pruning.data_checks import require_own_weights
from zeroskip.model.pruning.masks import Masks, keep_largest, kept_count, prunable_layers, prunable_weights
from zeroskip.model.pruning.nm import nm_mask, nm_share
from zeroskip.model.search.costs.table import CostTable
from zeroskip.model.search.plan import WEIGHTS, LayerPlan, Plan, weight_shapes
from zeroskip.model.search.settings import require_budget
from zeroskip.model.search.spaces.batch_norm import prune, revive
from zeroskip.model.search.spaces.refit import Refit

LEAST_WEIGHTS = 0.02
"""The smallest density of a layer's weights in a search."""

FAINT = 1e-6
"""The factor by which dense weights are made smaller than all that a pruned network has kept."""

Densities = Mapping[str, float]
"""Densities by the name of the pruning group. Groups that are not named have density 1."""


@dataclass(frozen=True, kw_only=True)
class PruningGroup:
    """A layer, or a channel group, that gets one density.

    It has `total` weights or channels (or elements of an N:M group), and keeps a number of them that is in `counts`,
    which rise up to `total`. `layers` are the layers whose weights, or whose output channels, these are. The group has
    the name of the layer that the network runs first.
    """

    name: str
    layers: tuple[str, ...]
    total: int
    counts: Sequence[int]

    @property
    def least(self) -> float:
        """The smallest possible density."""
        return self.counts[0] / self.total

    def nearest(self, density: float) -> float:
        """The possible density nearest to the given one."""
        above = bisect_right(self.counts, density, key=self._density)
        around = self.counts[max(above - 1, 0)], self.counts[min(above, len(self.counts) - 1)]
        return min(map(self._density, around), key=lambda near: abs(near - density))

    def below(self, density: float) -> float:
        """The largest possible density up to the given one, or else `least`."""
        return self._density(self.counts[max(bisect_right(self.counts, density, key=self._density) - 1, 0)])

    def above(self, density: float) -> float:
        """The smallest possible density from the given one on."""
        below = self.below(density)
        at = self.counts.index(round(below * self.total))
        return below if below >= density or below == 1 else self.counts[at + 1] / self.total

    def _density(self, count: int) -> float:
        return count / self.total

    def largest(self, fits: Callable[[float], bool]) -> float | None:
        """The largest possible density for which `fits` is true, or None. All densities below it must fit too."""
        low, high = -1, len(self.counts)
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if fits(self.counts[middle] / self.total) else (low, middle)
        return None if low < 0 else self.counts[low] / self.total


class Space(ABC):
    """All plans for the network `module` at one granularity.

    Pruning uses masks: a pruned network keeps the shape of the dense network and can be pruned further. Before it is
    measured or saved, `remove` removes the channels that can be removed. `calibration` (n, ...) are training inputs. On
    them, with `refit`, the weights that are left are fitted (zeroskip.model.search.spaces.refit), and batch
    normalisation is recalibrated (zeroskip.model.search.spaces.batch_norm). `whole` says, by the names of layers, why
    these cannot be pruned, where that depends on the network. `ordered` is true where the space has an order of its own
    in which channels go.
    """

    def __init__(
        self, module: nn.Module, granularity: str, groups: Sequence[PruningGroup], calibration: Tensor, *, refit: bool
    ) -> None:
        self.module = module
        self.granularity = granularity
        self.groups = tuple(groups)
        self.calibration = calibration
        self.refit = refit
        self.whole: dict[str, str] = {}
        self.ordered = False

    def to(self, device: str) -> None:
        """Moves the network and the samples to a device (zeroskip.model.device); what is chosen is chosen the same."""
        self.module, self.calibration = moved(self.module, device), self.calibration.to(device)

    @cached_property
    def _fit_to_dense(self) -> Refit:
        return Refit(self.module, self.calibration)

    def fit_to(self, module: nn.Module) -> Refit:
        """The fit of pruned copies of a network in the shape of the dense one."""
        return self._fit_to_dense if module is self.module else Refit(module, self.calibration)

    @abstractmethod
    def masks(self, module: nn.Module, densities: Densities, criterion: Criterion | None = None) -> dict[str, Tensor]:
        """The masks, by parameter name, for a network in the shape of the dense network. Weights that are zero already
        are pruned first. Without a criterion, the largest magnitudes stay, but see ChannelSpace."""

    @abstractmethod
    def points(self, densities: Densities) -> dict[str, tuple[float, ...]]:
        """The point of every layer on the axes of its cost table (zeroskip.model.search.costs.table)."""

    @abstractmethod
    def outputs(self, densities: Densities) -> dict[str, float]:
        """The density of each layer, as it stands in a plan."""

    @abstractmethod
    def magnitudes(self) -> dict[str, Tensor]:
        """For each group the magnitudes of its weights in the dense network, or the mean magnitudes of the weights of
        each of its channels: (total,)."""

    def pruned(
        self,
        module: nn.Module,
        densities: Densities,
        criterion: Criterion | None = None,
        fit: Callable[[], Refit] | None = None,
    ) -> nn.Module:
        """A pruned copy of a network in the shape of the dense network; it keeps the shape. `fit` gives the fit to the
        `module`, for callers that prune one several times (`fit_to`)."""
        masks = self.masks(module, densities, criterion)
        pruned = copy.deepcopy(module)
        prune(pruned, masks, self.calibration, (fit or partial(self.fit_to, module)) if self.refit else None)
        return pruned

    def masked(self, densities: Densities, criterion: Criterion | None = None) -> nn.Module:
        """A pruned copy of the dense network; it keeps the shape."""
        return self.pruned(self.module, densities, criterion)

    def restored(self, pruned: nn.Module, before: Densities, densities: Densities, criterion: Criterion) -> nn.Module:
        """A copy of a network that is pruned to the densities `before`. Groups of which `densities` keep more get
        weights or channels of the dense network back, those that the criterion ranks highest in it. The other groups
        stay as they are."""
        goal = {name: max(density, before.get(name, 1.0)) for name, density in densities.items()}
        restored = copy.deepcopy(pruned)
        if all(goal[name] == before.get(name, 1.0) for name in goal):
            return restored
        gone = self.masks(pruned, before, criterion)
        dense = dict(self.module.named_parameters())
        ranked = copy.deepcopy(pruned)
        with torch.no_grad():
            for name, mask in gone.items():
                # Those that are there must rank above all that could come back.
                faint = FAINT * dense[name]
                ranked.get_parameter(name).copy_(torch.where(mask, ranked.get_parameter(name), faint))
            left = self.masks(ranked, goal, criterion)
            for name, mask in gone.items():
                back = ~mask & left.get(name, torch.ones_like(mask))
                restored.get_parameter(name).copy_(torch.where(back, dense[name], restored.get_parameter(name)))
        revive(restored, self.module)
        if self.refit:
            self._undo_fit(restored, gone)
        return restored

    @torch.no_grad()
    def _undo_fit(self, restored: nn.Module, masks: dict[str, Tensor]) -> None:
        """Takes back, in place, what the fit gave the weights within `masks` in place of those that came back: as much
        as it would give them again."""
        again = copy.deepcopy(restored)
        Masks(again, masks).apply()
        Refit(restored, self.calibration).apply(again, masks)
        fitted = prunable_weights(again)
        for name, weight in prunable_weights(restored).items():
            given = fitted[name] - weight
            weight.sub_(given if name not in masks else given * masks[name])

    def remove(self, pruned: nn.Module, densities: Densities) -> nn.Module:
        """The network without the channels that can be removed. It computes the same."""
        return pruned

    def least(self) -> dict[str, float]:
        """The smallest possible density of every group."""
        return {group.name: group.least for group in self.groups}

    def plan(self, densities: Densities, *, method: str, cost: str, budget: float, reached: float) -> Plan:
        """The plan with these densities; see `Plan` for the other arguments."""
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
        """The densities of the groups in a plan. Raises ValueError if it belongs to another network."""
        plan.check(self.module)
        if plan.granularity != self.granularity:
            raise ValueError(f"granularity must be {self.granularity}, not {plan.granularity}")
        given = plan.densities
        found = {group.name: given[group.name] for group in self.groups}
        for name, density in self.outputs(found).items():
            if not math.isclose(given[name], density, abs_tol=1e-6):
                raise ValueError(
                    f"density of '{name}' must be {density:g}, as it shares its channels with other layers, "
                    f"not {given[name]:g}"
                )
        return found

    def kept(self, densities: Densities) -> float:
        """The fraction of all weights of the network that is kept."""
        sizes = {name: math.prod(shape) for name, shape in weight_shapes(self.module).items()}
        points = self.points(densities)
        left = sum(size * math.prod(points.get(name, (1.0,))) for name, size in sizes.items())
        return left / sum(sizes.values())


class LayerSpace(Space):
    """Plans that prune single weights, or N:M patterns along the inputs; each layer is a pruning group."""

    def __init__(
        self, module: nn.Module, granularity: str, names: Sequence[str], calibration: Tensor, *, refit: bool = True
    ) -> None:
        """`names` are the layers to prune, in the order in which the network runs them. Raises ValueError if
        there is nothing to prune, or a weight is not its layer's own parameter."""
        require_own_weights(module)
        if granularity != WEIGHTS and Pattern.parse(granularity).dense:
            raise ValueError(f"granularity must be an N:M pattern that prunes, not {granularity!r}")
        layers = prunable_layers(module)
        groups = []
        for name in names:
            if granularity != WEIGHTS and nm_share(layers[name].weight, Pattern.parse(granularity)) == 1:
                # A convolution with one input channel has no group that could lose a weight.
                continue
            total, counts = self._counts(layers[name].weight, granularity)
            groups.append(PruningGroup(name=name, layers=(name,), total=total, counts=counts))
        if not groups:
            raise ValueError(f"{type(module).__name__} has no layer that {granularity} could prune")
        super().__init__(module, granularity, groups, calibration, refit=refit)

    @staticmethod
    def _counts(weight: Tensor, granularity: str) -> tuple[int, Sequence[int]]:
        if granularity == WEIGHTS:
            return weight.numel(), range(kept_count(weight.numel(), LEAST_WEIGHTS), weight.numel() + 1)
        pattern = Pattern.parse(granularity)
        return pattern.group, (pattern.keep, pattern.group)

    def masks(self, module: nn.Module, densities: Densities, criterion: Criterion | None = None) -> dict[str, Tensor]:
        names = {f"{name}.weight".lstrip("."): density for name, density in densities.items() if density < 1}
        scores = (criterion or l1)(module, "weight") if names else {}
        masks = {}
        for name, density in names.items():
            # Weights that are zero were pruned before, so they rank last whatever their score.
            dead = module.get_parameter(name) == 0
            if self.granularity == WEIGHTS:
                live = scores[name].masked_fill(dead, -1.0)
                masks[name] = keep_largest(live, kept_count(live.numel(), density))
            else:
                # `nm_mask` keeps the largest magnitudes. A score of 0 must still rank above the weights pruned before.
                live = scores[name].clamp(min=torch.finfo(torch.float32).tiny).masked_fill(dead, 0.0)
                masks[name] = nm_mask(live, Pattern.parse(self.granularity))
        return masks

    def magnitudes(self) -> dict[str, Tensor]:
        layers = prunable_layers(self.module)
        return {group.name: magnitude(layers[group.name].weight).flatten().cpu() for group in self.groups}

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
    """The cost of a plan as a fraction of the dense cost."""
    return table.total(space.points(densities)) / table.dense


def require_reachable(space: Space, table: CostTable, budget: float, smallest: Densities) -> None:
    """Raises ValueError unless the budget is a fraction of the dense cost that the `smallest` densities meet."""
    require_budget(budget)
    reached = cost_share(space, table, smallest)
    if reached > budget:
        raise ValueError(
            f"budget {budget} of the dense {table.cost} cannot be met: the smallest cost that can be reached is "
            f"{reached:.4f} of it"
        )
