"""Channel permutation in a network: the inputs of a layer and the outputs of the layer before it are reordered."""

from __future__ import annotations

import copy
from collections.abc import Container
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeroskip.model.network.graph import read_steps
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.network.steps import (
    BatchNormStep,
    ConvStep,
    LinearStep,
    MoveStep,
    NetworkStep,
    RecurrentStep,
    SpreadStep,
    TokenStep,
)
from zeroskip.model.pruning.permutation import PROPOSALS, Permutation, search

Layer = nn.Linear | nn.Conv1d | nn.Conv2d
Norm = nn.BatchNorm1d | nn.BatchNorm2d


@dataclass(frozen=True, kw_only=True, eq=False)
class PermutedLayer:
    """The order found for the input channels of the layer `name`, or the reason why the order was not changed."""

    name: str
    permutation: Permutation | None
    reason: str = ""


def permute(
    module: nn.Module, pattern: Pattern, *, seed: int, proposals: int = PROPOSALS, samples: Tensor | None = None
) -> tuple[nn.Module, list[PermutedLayer]]:
    """A copy of `module` that computes the same, with its channels in an order in which N:M pruning keeps more.

    For every Linear and Conv2d layer, the input channels are reordered together with the outputs of the layer before
    it and the batch normalisation between them (Pool & Yu, NeurIPS 2021). Not reordered are the network's inputs,
    channels that flattening turned into several inputs, and the inputs and outputs of grouped convolutions. Results
    differ by rounding, as sums are computed in another order.

    `samples` (n, ...) are inputs of the network, where its forward() looks at shapes. Raises ValueError if the network
    is not a plain chain of layers, or uses a layer or its weights twice.
    """
    permuted = copy.deepcopy(module)
    steps = read_steps(permuted, samples)
    names = {id(layer): name for name, layer in permuted.named_modules()}
    _require_chain(steps, names)
    _refuse_shared(steps)
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
    """The reason why the inputs of `layer` cannot be reordered, or "" if they can."""
    if producer is None:
        return "its inputs are the network's own"
    if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.groups > 1:
        return "it is a grouped convolution"
    if isinstance(producer, nn.Conv1d | nn.Conv2d) and producer.groups > 1:
        return "its inputs come from a grouped convolution"
    if layer.weight.shape[1] != len(producer.weight):
        return f"{layer.weight.shape[1] // len(producer.weight)} of its inputs are one channel, flattened"
    return ""


@torch.no_grad()
def _reorder(producer: Layer, between: list[Norm], layer: Layer, order: Tensor) -> None:
    """Reorders the inputs of `layer`, the outputs of `producer`, and the batch normalisation between them."""
    for earlier in (producer, *between):
        for name in ("weight", "bias", "running_mean", "running_var"):
            values = getattr(earlier, name, None)
            if values is not None:
                values.copy_(values[order])
    layer.weight.copy_(layer.weight[:, order])


def _require_chain(steps: list[NetworkStep], layers: Container[int]) -> None:
    """Raises ValueError naming the first step that reads anything but the step before it, or is a product by something
    else than one of the `layers` (the identities of modules)."""
    for number, step in enumerate(steps):
        if isinstance(step, LinearStep | ConvStep) and id(step.module) not in layers:
            raise step.error(
                f"{step.label} multiplies by no weight of a Linear or convolution; channels are permuted between such "
                "layers: leave the permutation out"
            )
        if isinstance(step, MoveStep | RecurrentStep | SpreadStep | TokenStep):
            raise step.error(
                f"{step.label} moves or joins values; channels are permuted where each layer reads those of the "
                "layer before it in their places: leave the permutation out"
            )
        if step.sources != (number - 1,):
            raise step.error(
                f"{step.label} does not read the step before it alone; channels are permuted in a plain chain of "
                "layers, without branches and residual additions: leave the permutation out"
            )


def _refuse_shared(steps: list[NetworkStep]) -> None:
    """Raises ValueError for weights that are used twice: they cannot have two orders."""
    labels: dict[int, str] = {}
    for step in steps:
        if isinstance(step, LinearStep | ConvStep | BatchNormStep):
            owned = [one for one in (step.module, step.module.weight) if one is not None]
            for one in owned:
                if id(one) in labels:
                    raise ValueError(
                        f"{step.label} uses the weights of {labels[id(one)]} again; "
                        "a permutation needs weights that only one layer uses"
                    )
            labels |= {id(one): step.label for one in owned}
