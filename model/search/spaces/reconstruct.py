"""Refits the weights of layers that lost input channels (He et al., ICCV 2017, section 3.1; AMC, section 3.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.network.modes import in_mode
from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.search.layers import patches_of
from zeroskip.model.search.spaces.channel_groups import FIXED, Graph, kept_indices

POINTS = 10
"""The number of positions per image that a convolution is fitted on, as in AMC's own code."""

RIDGE = 1e-3
"""The ridge penalty on the change of the weights, as a fraction of the mean square of an input."""


class Reconstruction:
    """Least squares: finds the weights with which a layer reproduces its dense outputs from the inputs that are left.

    X are the inputs of the dense layer in the samples (patches, for a convolution), split into the kept inputs S and
    the removed inputs R; W are the dense weights. The change D of the kept weights minimises
    |X_S (W_S + D) - X W|^2 + ridge |D|^2, so D = (X_S^T X_S + ridge)^-1 (X_S^T X_R) W_R. The ridge keeps weights that
    the samples do not determine. X^T X is computed once; then each choice of S only solves a small linear system.
    Biases do not change.
    """

    def __init__(self, module: nn.Module, graph: Graph, samples: Tensor) -> None:
        """`samples` (n, ...) are inputs of `module`, the dense network."""
        self.graph = graph
        self.grams = _grams(
            module, samples, [name for name in graph.inputs if (graph.inputs[name].group != FIXED).any()]
        )

    def apply(self, pruned: nn.Module, kept: dict[int, NDArray[np.int64]]) -> None:
        """Refits, in place, the layers of `pruned`, which has the shape of the dense network. Weights of removed inputs
        become zero."""
        layers = prunable_layers(pruned)
        for name, gram in self.grams.items():
            stays = kept_indices(self.graph.inputs[name], kept)
            if stays.all():
                continue
            weight = layers[name].weight
            rows = stays.repeat_interleave(weight[0, 0].numel())
            dense = weight.detach().flatten(1).double()
            change = _carried(gram, rows, ~rows, dense)
            if change is None:
                continue
            full = torch.zeros_like(dense)
            full[:, rows] = dense[:, rows] + change
            with torch.no_grad():
                weight.copy_(full.reshape(weight.shape))

    def undo(
        self, restored: nn.Module, before: dict[int, NDArray[np.int64]], kept: dict[int, NDArray[np.int64]]
    ) -> None:
        """Takes back, in place, what `apply` changed in the layers whose inputs come back: those that are `kept`, but
        were not kept `before`. Their weights are in `restored` already."""
        layers = prunable_layers(restored)
        for name, gram in self.grams.items():
            axis = self.graph.inputs[name]
            stayed = kept_indices(axis, before)
            back = kept_indices(axis, kept) & ~stayed
            weight = layers[name].weight
            size = weight[0, 0].numel()
            full = weight.detach().flatten(1).double()
            rows = stayed.repeat_interleave(size)
            change = _carried(gram, rows, back.repeat_interleave(size), full) if back.any() else None
            if change is not None:
                full[:, rows] -= change
                with torch.no_grad():
                    weight.copy_(full.reshape(weight.shape))


def _carried(gram: Tensor, kept: Tensor, other: Tensor, weights: Tensor) -> Tensor | None:
    """The change D (outputs, kept inputs) by which the weights of the `kept` inputs stand in for those of the `other`
    inputs, of `weights` (outputs, inputs). None where all inputs are zero in all samples, which determine nothing."""
    system = gram[kept][:, kept]
    system.diagonal().add_(RIDGE * system.diagonal().mean())
    factor, failed = torch.linalg.cholesky_ex(system)
    if failed:
        return None
    return torch.cholesky_solve(gram[kept][:, other] @ weights[:, other].T, factor).T


@torch.no_grad()
def _grams(module: nn.Module, samples: Tensor, names: list[str]) -> dict[str, Tensor]:
    """X^T X of each of the layers `names`, float64 (inputs x inputs)."""
    grams: dict[str, Tensor] = {}
    generator = torch.Generator().manual_seed(0)

    def record(name: str) -> Any:
        def hook(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            rows = _rows(layer, given[0], generator)
            grams[name] = grams.get(name, 0) + (rows.T @ rows).double()

        return hook

    handles = [module.get_submodule(name).register_forward_pre_hook(record(name)) for name in names]
    try:
        with in_mode(module, training=False):
            for batch in samples.split(256):
                module(batch.clone())
    finally:
        for handle in handles:
            handle.remove()
    return grams


def _rows(layer: nn.Module, given: Tensor, generator: torch.Generator) -> Tensor:
    """The input vectors of a layer, (vectors, inputs); for a convolution, at some random positions of each image."""
    if not isinstance(layer, nn.Conv2d):
        return given.reshape(-1, given.shape[-1])
    patches = patches_of(layer, given)
    chosen = torch.randperm(patches.shape[2], generator=generator)[:POINTS]
    return patches[:, :, chosen].transpose(1, 2).reshape(-1, patches.shape[1])
