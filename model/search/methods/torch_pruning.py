"""The pruners of Torch-Pruning (Fang et al., DepGraph, CVPR 2023), to compare searches with: channels alone."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.device import CPU, moved
from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.pruning.outputs import logits
from zeroskip.model.search.methods.exact_budget import Sized
from zeroskip.model.search.plan import weight_shapes
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.spaces.space import PruningGroup, Space

PRUNERS: dict[str, tuple[str, bool]] = {
    "tp-magnitude": ("GroupMagnitudeImportance", False),
    "tp-magnitude-global": ("GroupMagnitudeImportance", True),
    "tp-lamp-global": ("LAMPImportance", True),
    "tp-taylor-global": ("GroupTaylorImportance", True),
}
"""By name: the importance of a channel, and whether all channels of the network compete (or the same share of each
layer goes)."""

SAMPLES = 1_000
"""The number of samples whose gradients a Taylor importance sees."""

RATIOS = tuple(number / 50 for number in range(1, 46))
"""The pruning ratios that are tried. Costs do not always fall with them: a layer that would lose all channels stays
whole."""


def prune_by(name: str, space: Space, samples: Samples, cost: Callable[[nn.Module], float], budget: float) -> Sized:
    """Prunes the space's network by one of PRUNERS: by that of RATIOS with the largest `cost` that is at most `budget`.

    It runs on the CPU. The plan's network has no channels that were removed; its densities are those of the space's
    groups. The layers of the network's outputs stay whole. Raises ValueError where no ratio meets the budget, and
    ModuleNotFoundError without Torch-Pruning.
    """
    dense, samples = moved(space.module, CPU), samples.first(SAMPLES).to(CPU)
    gradients = _gradients(dense, samples) if "Taylor" in PRUNERS[name][0] else {}
    best, reached, least = dense, 0.0, 1.0
    for ratio in RATIOS:
        network = _pruned(name, dense, space.groups, samples.inputs[:1], gradients, ratio)
        there = cost(network)
        least = min(least, there)
        if reached < there <= budget:
            best, reached = network, there
    if reached == 0:
        raise ValueError(f"budget {budget} cannot be met by {name}: the smallest cost that it reaches is {least:.4f}")
    left, whole = weight_shapes(best), weight_shapes(dense)
    densities = {group.name: group.nearest(left[group.name][0] / whole[group.name][0]) for group in space.groups}
    return Sized(densities=densities, network=best, cost=reached)


def _gradients(dense: nn.Module, samples: Samples) -> dict[str, Tensor | None]:
    """The gradient of the loss with respect to each parameter, by its name."""
    network = copy.deepcopy(dense).eval()
    network.zero_grad()
    F.cross_entropy(logits(network(samples.inputs.clone())), samples.labels).backward()
    return {name: value.grad for name, value in network.named_parameters()}


def _pruned(
    name: str,
    dense: nn.Module,
    groups: Sequence[PruningGroup],
    sample: Tensor,
    gradients: Mapping[str, Tensor | None],
    ratio: float,
) -> nn.Module:
    import torch_pruning

    importance, together = PRUNERS[name]
    network = copy.deepcopy(dense).eval()
    for key, value in network.named_parameters():
        given = gradients.get(key)
        value.grad = None if given is None else given.clone()
    prunable = {layer for group in groups for layer in group.layers}
    ignored: list[Any] = [module for layer, module in prunable_layers(network).items() if layer not in prunable]
    pruner = torch_pruning.pruner.BasePruner(
        network,
        sample,
        importance=getattr(torch_pruning.importance, importance)(),
        global_pruning=together,
        pruning_ratio=ratio,
        ignored_layers=ignored,
    )
    with torch.enable_grad():
        pruner.step()
    network.zero_grad(set_to_none=True)
    return network
