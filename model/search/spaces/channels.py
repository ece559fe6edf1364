"""Channel pruning: plans that remove whole channel groups of a network."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.pruning.criteria import Criterion, l1
from zeroskip.model.pruning.data_checks import network_outputs, require_own_channels
from zeroskip.model.pruning.flattening import replace_views
from zeroskip.model.pruning.masks import keep_largest, prunable_layers
from zeroskip.model.search.plan import CHANNELS
from zeroskip.model.search.spaces.channel_checks import LARGER, checked_groups, difference
from zeroskip.model.search.spaces.channel_groups import FIXED, Axis
from zeroskip.model.search.spaces.channel_order import ChannelOrder
from zeroskip.model.search.spaces.read_groups import read_groups
from zeroskip.model.search.spaces.space import Densities, PruningGroup, Space

CHECKED = 8
"""The number of samples for which a network without channels is compared with the pruned one."""

LEAST_CHANNELS = 0.1
"""The smallest density of a channel group in a search."""


def _flattening(module: nn.Module, sample: Tensor) -> nn.Module:
    """The network, with `view(-1, 400)` and the like replaced by flattening, which works for any number of channels.
    Raises ValueError if that changes the outputs."""

    def outputs(network: nn.Module) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return network_outputs(network, sample)

    flattening = replace_views(module, sample)
    if flattening is module:
        return module
    try:
        same = torch.allclose(outputs(flattening), outputs(module), rtol=0, atol=0, equal_nan=True)
    except ValueError:
        same = False
    if not same:
        raise ValueError(
            f"{type(module).__name__} has channels that cannot be removed: its forward() reshapes to (-1, a number) "
            "in another way than flattening"
        )
    return flattening


class ChannelSpace(Space):
    """Plans that physically remove channels; each channel group of the network is a pruning group.

    Without a criterion, and with `refit`, channels are removed in the order of ChannelOrder unless `by_magnitude` is
    true: what counts is what is lost after the fit.
    """

    def __init__(
        self,
        module: nn.Module,
        names: Sequence[str],
        calibration: Tensor,
        *,
        refit: bool = True,
        by_magnitude: bool = False,
    ) -> None:
        """`names` are the layers in the order in which the network runs them. Raises ValueError if no channel can be
        removed, and for layers that share what they have for their channels."""
        self.name = type(module).__name__
        require_own_channels(module)
        module = _flattening(module, calibration[:2])
        self.graph = checked_groups(module, read_groups(module, calibration[:1]), calibration[:1])
        whole = {name: self.graph.whole[name] for name in names if name in self.graph.whole}
        order = {name: at for at, name in enumerate(names)}
        self.graph_groups: dict[str, int] = {}
        groups = []
        for number, size in enumerate(self.graph.sizes):
            layers = sorted((name for name in self.graph.members(number) if name in order), key=order.__getitem__)
            if layers:
                least = max(1, round(LEAST_CHANNELS * size))
                groups.append(
                    PruningGroup(name=layers[0], layers=tuple(layers), total=size, counts=range(least, size + 1))
                )
                self.graph_groups[layers[0]] = number
        if not groups:
            reasons = "; ".join(f"those of '{name}' stay: {reason}" for name, reason in whole.items())
            raise ValueError(f"{self.name} has no channels that can be removed{reasons and ': ' + reasons}")
        groups.sort(key=lambda group: order[group.name])
        super().__init__(module, CHANNELS, groups, calibration, refit=refit)
        self.whole = whole
        self.ordered = refit and not by_magnitude
        self._shares: dict[str, list[list[tuple[int, float]]]] = {}
        for name, layer in prunable_layers(module).items():
            axes = [self.graph.outputs.get(name)]
            if not (isinstance(layer, nn.Conv2d) and layer.groups > 1):
                axes.insert(0, self.graph.inputs.get(name))
            self._shares[name] = [_shares(axis) for axis in axes]

    def masks(self, module: nn.Module, densities: Densities, criterion: Criterion | None = None) -> dict[str, Tensor]:
        chosen = self._chosen(module, densities, criterion or l1)
        if criterion is None and self.ordered:
            for number, kept in chosen.items():
                live = self._live(module, number) > 0
                if len(kept) < int(live.sum()) and (ranks := self._order.ranks(number)) is not None:
                    # Channels that are zero were pruned before.
                    chosen[number] = np.flatnonzero(keep_largest(ranks.masked_fill(~live, -1.0), len(kept)).numpy())
        return self.graph.masks(module, chosen)

    def remove(self, pruned: nn.Module, densities: Densities) -> nn.Module:
        """The network without the channels whose weights are all zero. Raises ValueError if its outputs for some of
        the calibration samples are not those of `pruned`."""
        small = self.graph.removed(pruned, self._chosen(pruned, densities, None))
        samples = self.calibration[:CHECKED]
        # Larger values reach what a threshold hides from the others.
        if reason := difference(pruned, small, torch.cat([samples, *(factor * samples[:2] for factor in LARGER)])):
            raise ValueError(f"{self.name} changes where its pruned channels are removed: {reason}")
        return small

    @cached_property
    def _order(self) -> ChannelOrder:
        return ChannelOrder(self.module, self.graph, self.calibration)

    def _live(self, module: nn.Module, group: int) -> Tensor:
        """For each channel of a group, the sum of the magnitudes of all that makes it: 0 if it was pruned."""
        live = torch.zeros(self.graph.sizes[group])
        for name in self.graph.members(group):
            channels, mine = self._channels(name, group)
            for value in module.get_submodule(name).parameters(recurse=False):
                if value.dim() > 0 and len(value) == len(self.graph.outputs[name].group):
                    sums = value.detach()[mine].reshape(len(mine), -1).abs().sum(1)
                    live.index_add_(0, channels, sums.cpu())
        return live

    def magnitudes(self) -> dict[str, Tensor]:
        sums, layers = l1(self.module, "channel"), prunable_layers(self.module)
        found = {}
        for group in self.groups:
            total, weights = torch.zeros(group.total), torch.zeros(group.total)
            for name in group.layers:
                channels, mine = self._channels(name, self.graph_groups[group.name])
                total.index_add_(0, channels, sums[f"{name}.weight".lstrip(".")].cpu()[mine])
                weights.index_add_(0, channels, torch.full((len(mine),), float(layers[name].weight[0].numel())))
            found[group.name] = total / weights
        return found

    def points(self, densities: Densities) -> dict[str, tuple[float, ...]]:
        by_group = {self.graph_groups[name]: density for name, density in densities.items()}
        return {name: tuple([_share_kept(axis, by_group) for axis in axes]) for name, axes in self._shares.items()}

    def outputs(self, densities: Densities) -> dict[str, float]:
        return {name: point[-1] for name, point in self.points(densities).items()}

    def _channels(self, layer: str, group: int) -> tuple[Tensor, NDArray[np.int64]]:
        """The channels of a group that a layer outputs, and their numbers among all outputs of the layer."""
        axis = self.graph.outputs[layer]
        mine = np.flatnonzero(axis.group == group)
        return torch.from_numpy(axis.channel[mine]), mine

    def _chosen(
        self, module: nn.Module, densities: Densities, criterion: Criterion | None
    ) -> dict[int, NDArray[np.int64]]:
        """The channels to keep, in ascending order, of every group that is pruned. The score of a channel is the sum of
        its scores in all layers that output it; the highest scores stay. Without a criterion, the channels that are not
        zero stay."""
        scores = {} if criterion is None else criterion(module, "channel")
        kept = {}
        for group in self.groups:
            count = round(densities.get(group.name, 1.0) * group.total)
            if count == group.total:
                continue
            number = self.graph_groups[group.name]
            live = self._live(module, number)
            total = torch.zeros(group.total)
            for name in self.graph.members(number):
                channels, mine = self._channels(name, number)
                if f"{name}.weight".lstrip(".") in scores:
                    total.index_add_(0, channels, scores[f"{name}.weight".lstrip(".")].cpu()[mine])
            # Channels that are zero were pruned before, so they rank last whatever their score.
            total = live.sign() if criterion is None else total.masked_fill(live == 0, -1.0)
            kept[number] = np.flatnonzero(keep_largest(total, count).numpy())
        return kept


def _shares(axis: Axis | None) -> list[tuple[int, float]]:
    """The groups on an axis, and the fraction of the axis that belongs to each."""
    if axis is None:
        return [(FIXED, 1.0)]
    groups, counts = np.unique(axis.group, return_counts=True)
    return [(int(group), int(count) / len(axis.group)) for group, count in zip(groups, counts, strict=True)]


def _share_kept(axis: list[tuple[int, float]], by_group: dict[int, float]) -> float:
    """The fraction of an axis that is kept. A loop: a generator takes twice as long, and searches ask often."""
    kept = 0.0
    for group, share in axis:
        kept += share * by_group.get(group, 1.0)
    return kept
