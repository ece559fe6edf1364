"""Channel permutations in a network: one layer's inputs and its producer's outputs move together."""

from __future__ import annotations

import copy
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeroskip.model.mma.pattern import Pattern
from zeroskip.model.network.chain import BatchNormStep, ConvStep, LinearStep, Step, chain
from zeroskip.model.pruning.permutation import PROPOSALS, Permutation, search

Layer = nn.Linear | nn.Conv2d
Norm = nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True, kw_only=True, eq=False)
class PermutedLayer:
    """The order that was found for the input channels of the layer `name`, or why it was left as it is."""

    name: str
    permutation: Permutation | None
    reason: str = ""


def permute(
    module: nn.Module, pattern: Pattern, *, seed: int, proposals: int = PROPOSALS
) -> tuple[nn.Module, list[PermutedLayer]]:
    """A copy of `module` that computes the same, its channels in orders under which N:M pruning keeps more.

    For every Linear and Conv2d, in the order of computation, the input channels move together with the outputs of the
    layer before it and the BatchNorm between them (Pool & Yu, NeurIPS 2021). Left as they are: a layer that
    reads the network's own inputs, one of whose channels flattening made several inputs, and what grouped convolutions
    give and take. Sums are made in another order, so results differ by rounding.

    Raises ValueError where the network is no plain chain, or uses a layer or its weights twice.
    """
    permuted = copy.deepcopy(module)
    steps = chain(permuted)
    _refuse_shared(steps)
    names = {id(part): name for name, part in permuted.named_modules()}
    reports = []
    producer: Layer | None = None
    between: list[Norm] = []
    for step in steps:
        if isinstance(step, BatchNormStep):
            between.append(step.module)
        if not isinstance(step, LinearStep | ConvStep):
            continue
        layer = step.module
        reason = _obstacle(producer, layer)
        permutation = None
        if producer is not None and not reason:
            try:
                permutation = search(layer.weight, pattern, seed=seed, proposals=proposals)
            except ValueError as error:
                raise ValueError(f"{step.label}: {error}") from error
            _reorder(producer, between, layer, torch.from_numpy(permutation.order))
        reports.append(PermutedLayer(name=names[id(layer)], permutation=permutation, reason=reason))
        producer, between = layer, []
    return permuted, reports


def _obstacle(producer: Layer | None, layer: Layer) -> str:
    """Why the inputs of `layer` must stay in order; nothing where they need not."""
    if producer is None:
        return "its inputs are the network's own"
    if isinstance(layer, nn.Conv2d) and layer.groups > 1:
        return "it is a grouped convolution"
    if isinstance(producer, nn.Conv2d) and producer.groups > 1:
        return "its inputs come from a grouped convolution"
    if layer.weight.shape[1] != len(producer.weight):
        return f"{layer.weight.shape[1] // len(producer.weight)} of its inputs are one channel, flattened"
    return ""


@torch.no_grad()
def _reorder(producer: Layer, between: list[Norm], layer: Layer, order: Tensor) -> None:
    """Puts the inputs of `layer` into `order`, and all that stands before them by channel."""
    for part in (producer, *between):
        for name in ("weight", "bias", "running_mean", "running_var"):
            values = getattr(part, name, None)
            if values is not None:
                values.copy_(values[order])
    layer.weight.copy_(layer.weight[:, order])


def _refuse_shared(steps: list[Step]) -> None:
    """Raises ValueError for weights that stand in two places: they cannot move in one and stay in the other."""
    labels: dict[int, str] = {}
    for step in steps:
        if isinstance(step, LinearStep | ConvStep | BatchNormStep):
            parts = [part for part in (step.module, step.module.weight) if part is not None]
            for part in parts:
                if id(part) in labels:
                    raise ValueError(
                        f"{step.label} uses the weights of {labels[id(part)]} once more; "
                        "a permutation needs weights that stand in one place"
                    )
            labels |= {id(part): step.label for part in parts}
