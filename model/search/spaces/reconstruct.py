"""Weights fitted anew where inputs of a layer are gone (He et al., ICCV 2017, section 3.1; AMC, section 3.4)."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.network.modes import in_mode
from zeroskip.model.pruning.masks import prunable_layers
from zeroskip.model.search.layers import patches_of
from zeroskip.model.search.spaces.channel_groups import FIXED, Graph, staying

POINTS = 10
"""Positions of an image at which a convolution is fitted, as in AMC's own code."""

RIDGE = 1e-3
"""How much weights are held to what they were, as a fraction of the mean square of an input."""


class Reconstruction:
    """Least squares: the weights by which a layer, from the inputs that are left, gives what the dense one gave.

    With X the inputs of the dense layer in samples (a convolution's as patches, whatever its kernel), of which S are
    left and R are gone, and W the dense weights, W_S + D has the least |X_S (W_S + D) - X W|^2 + ridge |D|^2 at
    D = (X_S^T X_S + ridge)^-1 (X_S^T X_R) W_R. So what the samples do not tell stays as it was. X^T X is taken once;
    any choice of S is a small system of equations after that. Biases stay.
    """

    def __init__(self, module: nn.Module, graph: Graph, samples: Tensor) -> None:
        """`samples` (n, ...) are inputs of `module`, the dense network."""
        self.graph = graph
        self.grams = _grams(
            module, samples, [name for name in graph.inputs if (graph.inputs[name].group != FIXED).any()]
        )

    def apply(self, pruned: nn.Module, kept: dict[int, NDArray[np.int64]]) -> None:
        """Fits the layers of `pruned`, whose shape is the dense network's, to the channels that are kept. The weights
        of those that are not become zero."""
        layers = prunable_layers(pruned)
        for name, gram in self.grams.items():
            stays = staying(self.graph.inputs[name], kept)
            if stays.all():
                continue
            weight = layers[name].weight
            rows = stays.repeat_interleave(weight[0, 0].numel())
            dense = weight.detach().flatten(1).double()
            system = gram[rows][:, rows]
            system.diagonal().add_(RIDGE * system.diagonal().mean())
            factor, failed = torch.linalg.cholesky_ex(system)
            if failed:
                # Inputs that are zero in all samples tell nothing: the weights stay what they were.
                continue
            full = torch.zeros_like(dense)
            carried = gram[rows][:, ~rows] @ dense[:, ~rows].T
            full[:, rows] = dense[:, rows] + torch.cholesky_solve(carried, factor).T
            with torch.no_grad():
                weight.copy_(full.reshape(weight.shape))


@torch.no_grad()
def _grams(module: nn.Module, samples: Tensor, names: list[str]) -> dict[str, Tensor]:
    """X^T X of the layers named, float64 (inputs x inputs)."""
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
            for some in samples.split(256):
                module(some)
    finally:
        for handle in handles:
            handle.remove()
    return grams


def _rows(layer: nn.Module, given: Tensor, generator: torch.Generator) -> Tensor:
    """What a layer multiplies with its weights: (positions, inputs); of a convolution some positions of each image."""
    if not isinstance(layer, nn.Conv2d):
        return given.reshape(-1, given.shape[-1])
    patches = patches_of(layer, given)
    some = torch.randperm(patches.shape[2], generator=generator)[:POINTS]
    return patches[:, :, some].transpose(1, 2).reshape(-1, patches.shape[1])
