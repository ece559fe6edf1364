"""Plans that remove whole channels, through residual additions, depthwise convolutions, concatenations, flattening."""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.pruning.criteria import Criterion, l1
from zeroskip.model.pruning.fitting import run
from zeroskip.model.pruning.flexible import flexible
from zeroskip.model.pruning.masks import keep_largest, prunable_layers
from zeroskip.model.pruning.resize import fit_to
from zeroskip.model.search.plan import CHANNELS
from zeroskip.model.search.spaces.batch_norm import prune
from zeroskip.model.search.spaces.channel_groups import FIXED, Axis, Graph, read_graph
from zeroskip.model.search.spaces.reconstruct import Reconstruction
from zeroskip.model.search.spaces.space import Densities, PruningGroup, Space

LEAST_CHANNELS = 0.1
"""No search leaves a group less than this fraction of its channels."""


def _flattening(module: nn.Module, sample: Tensor) -> nn.Module:
    """The network, if need be flattening whatever comes. Raises ValueError where that computes something else."""

    def outputs(network: nn.Module) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            return run(network, sample)

    free = flexible(module)
    if free is module:
        return module
    try:
        same = torch.allclose(outputs(free), outputs(module), rtol=0, atol=0, equal_nan=True)
    except ValueError:
        same = False
    if not same:
        raise ValueError(
            f"{type(module).__name__} has channels that cannot be removed: its forward() reshapes to (-1, a number) "
            "in a way that is no flattening"
        )
    return free


class ChannelSpace(Space):
    """Groups of channels that go together, physically.

    Of a pruned network, the weights of the layers that take what is left are fitted anew, so that these layers give
    what they gave before as nearly as can be (zeroskip.model.search.spaces.reconstruct), from `calibration` inputs
    (n, ...).
    """

    def __init__(self, module: nn.Module, names: Sequence[str], calibration: Tensor) -> None:
        """`names` of the layers in the order in which they run. Raises ValueError where no channel can be removed."""
        name = type(module).__name__
        module = _flattening(module, calibration[:2])
        self.graph = _removable(module, read_graph(module, calibration[:1]), calibration[:2])
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
            raise ValueError(f"{name} has no channels that can be removed")
        super().__init__(module, CHANNELS, sorted(groups, key=lambda group: order[group.name]), calibration)
        self._shares: dict[str, list[list[tuple[int, float]]]] = {}
        for name, layer in prunable_layers(module).items():
            axes = [self.graph.outputs.get(name)]
            if not (isinstance(layer, nn.Conv2d) and layer.groups > 1):
                axes.insert(0, self.graph.inputs.get(name))
            self._shares[name] = [_shares(axis) for axis in axes]
        self._reconstruction = Reconstruction(module, self.graph, calibration)

    def masks(self, module: nn.Module, densities: Densities, criterion: Criterion = l1) -> dict[str, Tensor]:
        return self.graph.masks(module, self._chosen(module, densities, criterion))

    def pruned(self, module: nn.Module, densities: Densities, criterion: Criterion = l1) -> nn.Module:
        kept = self._chosen(module, densities, criterion)
        pruned = copy.deepcopy(module)
        if kept:
            self._reconstruction.apply(pruned, kept)
            prune(pruned, self.graph.masks(pruned, kept), self.calibration)
        return pruned

    def remove(self, pruned: nn.Module, densities: Densities) -> nn.Module:
        """The network without the channels of which nothing is left."""
        return _sliced(pruned, self.graph, self._chosen(pruned, densities, None))

    def points(self, densities: Densities) -> dict[str, tuple[float, ...]]:
        by_group = {self.graph_groups[name]: density for name, density in densities.items()}
        return {
            name: tuple(sum(share * by_group.get(group, 1.0) for group, share in axis) for axis in axes)
            for name, axes in self._shares.items()
        }

    def outputs(self, densities: Densities) -> dict[str, float]:
        return {name: point[-1] for name, point in self.points(densities).items()}

    def _chosen(
        self, module: nn.Module, densities: Densities, criterion: Criterion | None
    ) -> dict[int, NDArray[np.int64]]:
        """The channels that stay, rising, of every group that does not stay whole: the best by the criterion, the sum
        over the layers whose outputs they are; without one, those of which anything is left."""
        scores = {} if criterion is None else criterion(module, "channel")
        kept = {}
        for group in self.groups:
            count = round(densities.get(group.name, 1.0) * group.total)
            if count == group.total:
                continue
            number = self.graph_groups[group.name]
            live = torch.zeros(group.total)
            total = torch.zeros(group.total)
            for name in self.graph.members(number):
                axis = self.graph.outputs[name]
                mine = np.flatnonzero(axis.group == number)
                channels = torch.from_numpy(axis.channel[mine])
                for value in module.get_submodule(name).parameters(recurse=False):
                    if value.dim() > 0 and len(value) == len(axis.group):
                        live.index_add_(0, channels, value.detach()[mine].reshape(len(mine), -1).abs().sum(1))
                if f"{name}.weight".lstrip(".") in scores:
                    total.index_add_(0, channels, scores[f"{name}.weight".lstrip(".")][mine])
            # What is zero throughout has gone before, whatever a criterion says of it.
            total = live.sign() if criterion is None else total.masked_fill(live == 0, -1.0)
            kept[number] = np.flatnonzero(keep_largest(total, count).numpy())
        return kept


def _removable(module: nn.Module, graph: Graph, sample: Tensor) -> Graph:
    """The graph with those groups FIXED that cannot lose a channel: the network's outputs, and where it fails then."""
    with torch.no_grad():
        expected = copy.deepcopy(module).eval()(sample).shape
    for group, size in enumerate(graph.sizes):
        try:
            with torch.no_grad():
                smaller = _sliced(module, graph, {group: np.arange(size - 1)})
                fits = size > 1 and smaller.eval()(sample).shape == expected
        except Exception:
            # It runs the user's forward(): whatever stands in the way there, the group stays as it is.
            fits = False
        if not fits:
            for axis in (*graph.outputs.values(), *graph.inputs.values()):
                axis.group[axis.group == group] = FIXED
    return graph


def _sliced(module: nn.Module, graph: Graph, kept: dict[int, NDArray[np.int64]]) -> nn.Module:
    smaller = copy.deepcopy(module)
    state = graph.sliced(module, kept)
    fit_to(smaller, state)
    smaller.load_state_dict(state)
    return smaller


def _shares(axis: Axis | None) -> list[tuple[int, float]]:
    """The groups that an axis belongs to, and the fraction that each has of it."""
    if axis is None:
        return [(FIXED, 1.0)]
    groups, counts = np.unique(axis.group, return_counts=True)
    return [(int(group), int(count) / len(axis.group)) for group, count in zip(groups, counts, strict=True)]
