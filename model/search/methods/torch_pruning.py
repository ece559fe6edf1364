"""The pruners of Torch-Pruning (Fang et al., DepGraph, CVPR 2023), to compare searches with: channels alone."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.nn import functional as F

from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.pruning.outputs import logits
from zeroskip.model.search.methods.exact_budget import Sized
from zeroskip.model.search.plan import weight_shapes
from zeroskip.model.search.samples import Samples
from zeroskip.model.search.spaces.space import Space

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

    The plan's network has no channels that were removed; its densities are those of the space's groups. The layers of
    the network's outputs stay whole. Raises ValueError where no ratio meets the budget, and
    ModuleNotFoundError without Torch-Pruning.
    """
    best, reached, least = space.module, 0.0, 1.0
    for ratio in RATIOS:
        network = _pruned(name, space, samples, ratio)
        there = cost(network)
        least = min(least, there)
        if reached < there <= budget:
            best, reached = network, there
    if reached == 0:
        raise ValueError(f"budget {budget} cannot be met by {name}: the smallest cost that it reaches is {least:.4f}")
    left, whole = weight_shapes(best), weight_shapes(space.module)
    densities = {group.name: group.nearest(left[group.name][0] / whole[group.name][0]) for group in space.groups}
    return Sized(densities=densities, network=best, cost=reached)


def _pruned(name: str, space: Space, samples: Samples, ratio: float) -> nn.Module:
    import torch_pruning

    importance, together = PRUNERS[name]
    network = copy.deepcopy(space.module).eval()
    inputs = samples.inputs[:SAMPLES]
    if "Taylor" in importance:
        network.zero_grad()
        F.cross_entropy(logits(network(inputs.clone())), samples.labels[:SAMPLES]).backward()
    prunable = {layer for group in space.groups for layer in group.layers}
    ignored: list[Any] = [module for layer, module in prunable_layers(network).items() if layer not in prunable]
    pruner = torch_pruning.pruner.BasePruner(
        network,
        inputs[:1],
        importance=getattr(torch_pruning.importance, importance)(),
        global_pruning=together,
        pruning_ratio=ratio,
        ignored_layers=ignored,
    )
    with torch.enable_grad():
        pruner.step()
    network.zero_grad(set_to_none=True)
    return network
