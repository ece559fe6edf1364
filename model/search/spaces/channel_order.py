"""The order in which channels are removed, by the optimal brain surgeon (Hassibi and Stork, NeurIPS 1993; for groups of
weights ZipLM, Kurtic et al., NeurIPS 2023, section 3).

A channel costs what the layers that read it lose once their other weights are fitted. With the inputs X of such a
layer, H = X^T X + ridge, and the columns S of its weights W that read the channel, that is
tr(W_S ([H^-1]_SS)^-1 W_S^T). The cheapest channel goes first; then W and H^-1 are those without it.
"""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.search.spaces.channel_groups import Graph
from zeroskip.model.search.spaces.refit import RIDGE, SAMPLES, input_vectors, matrices, run_layers

TOGETHER = 64
"""Of more than this many channels, the cheapest of each TOGETHER go at once, before what the others cost is known anew:
one after the other would take too long."""

INPUTS = 2_304
"""Layers with more inputs are not looked at: inverting their H would take too long."""


class _Reader:
    """A layer that reads the channels of a group: its weights, the inverse of its H, and its inputs by channel."""

    def __init__(self, weights: Tensor, inverse: Tensor, inputs: list[Tensor]) -> None:
        self.weights, self.inverse, self.inputs = weights, inverse, inputs
        # Channels with equally many inputs, together.
        self.sizes = {len(at): [c for c, other in enumerate(inputs) if len(other) == len(at)] for at in inputs}

    def losses(self) -> Tensor:
        """What the layer loses without each channel: (channels,)."""
        found = torch.zeros(len(self.inputs), dtype=self.weights.dtype)
        for size, channels in self.sizes.items():
            if size > 0:
                at = torch.stack([self.inputs[channel] for channel in channels])
                own = self.inverse[at[:, :, None], at[:, None]]
                mine = self.weights[:, at].permute(1, 2, 0)
                found[channels] = (mine * torch.linalg.solve(own, mine)).sum((1, 2))
        return found

    def remove(self, channels: list[int]) -> None:
        """Fits the other weights, and leaves the channels out of H."""
        at = torch.cat([self.inputs[channel] for channel in channels])
        through = torch.linalg.solve(self.inverse[at][:, at], self.inverse[at])
        self.weights = self.weights - self.weights[:, at] @ through
        self.inverse = self.inverse - self.inverse[:, at] @ through
        # So that what is left of its part, rounding errors, can be solved for.
        self.inverse[at, at] = 1.0


class ChannelOrder:
    """The order in which the channels of a network go, from its layers' inputs on `samples` (n, ...). Each group is
    ordered as if no other lost channels, and only when it is asked for."""

    def __init__(self, module: nn.Module, graph: Graph, samples: Tensor) -> None:
        self.module, self.graph, self.samples = module, graph, samples
        self._ranks: dict[int, Tensor | None] = {}

    def ranks(self, group: int) -> Tensor | None:
        """The ranks (channels,) of a group's channels, 0 for the first to be removed; None where none of the layers
        that read it can be looked at."""
        if group not in self._ranks:
            readers = self._readers(group)
            self._ranks[group] = self._ranked(readers, self.graph.sizes[group]) if readers else None
        return self._ranks[group]

    @staticmethod
    def _ranked(readers: list[_Reader], channels: int) -> Tensor:
        ranks = torch.zeros(channels)
        left = torch.ones(channels, dtype=torch.bool)
        removed = 0
        while removed < channels:
            losses = torch.stack([reader.losses() for reader in readers]).sum(0).masked_fill(~left, torch.inf)
            cheapest = losses.argsort()[: max(1, (channels - removed) // TOGETHER)]
            ranks[cheapest] = torch.arange(removed, removed + len(cheapest), dtype=ranks.dtype)
            left[cheapest] = False
            removed += len(cheapest)
            for reader in readers:
                reader.remove(cheapest.tolist())
        return ranks

    def _readers(self, group: int) -> list[_Reader]:
        layers = prunable_layers(self.module)
        readers = []
        for name, axis in self.graph.inputs.items():
            if name in self._inputs and (axis.group == group).any():
                weights = matrices(layers[name], layers[name].weight.detach().cpu())[0].double()
                each = weights.shape[1] // len(axis.group)
                by_channel = []
                for channel in range(self.graph.sizes[group]):
                    mine = np.flatnonzero((axis.group == group) & (axis.channel == channel))
                    by_channel.append(torch.from_numpy((mine[:, None] * each + np.arange(each)).ravel()))
                readers.append(_Reader(weights, self._inverse(name), by_channel))
        return readers

    def _inverse(self, layer: str) -> Tensor:
        gram = (self._inputs[layer].T @ self._inputs[layer]).double()
        ridge = RIDGE * gram.diagonal().mean()
        return torch.linalg.inv(gram + ridge * torch.eye(len(gram), dtype=gram.dtype))

    @cached_property
    def _inputs(self) -> dict[str, Tensor]:
        """The input vectors (vectors, inputs) of each layer, without groups, that has at most INPUTS inputs, and of
        which some are not zero and all are finite."""
        seen: dict[str, list[Tensor]] = {}

        def see(name: str, layer: nn.Linear | nn.Conv2d, given: Tensor) -> None:
            if layer.weight[0].numel() <= INPUTS and not (isinstance(layer, nn.Conv2d) and layer.groups > 1):
                # The order is found on the CPU: it takes many small steps.
                seen.setdefault(name, []).append(input_vectors(layer, given)[0].cpu())

        run_layers(self.module, self.samples[:SAMPLES], see)
        whole = {name: torch.cat(vectors) for name, vectors in seen.items()}
        # In units of the largest input, no square overflows.
        units = {name: float(vectors.abs().amax()) if len(vectors) else 0.0 for name, vectors in whole.items()}
        return {name: vectors / units[name] for name, vectors in whole.items() if 0 < units[name] < math.inf}
