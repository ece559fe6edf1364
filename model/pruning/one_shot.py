"""Prunes a trained network at once, each layer alike and without training: by magnitude, Wanda or SparseGPT.

    magnitude   The largest weights of a layer stay (Han et al., NeurIPS 2015).
    wanda       Of each output, the weights with the largest product of magnitude and root mean square of their input
                stay (Sun et al., ICLR 2024, section 3).
    sparsegpt   Column after column, in blocks; in each block the weights stay whose removal would change the outputs
                most, w^2 / U[j, j]^2, and the columns that are left make up for what goes (Frantar and Alistarh, ICML
                2023, section 3; U: zeroskip.model.network.error_feedback).

The layers follow one another as the network runs them, each with the inputs that the pruned layers before it give.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.network.error_feedback import Matrix, dampened, root_of_inverse, spread_errors
from zeroskip.model.network.folded import Folded
from zeroskip.model.network.layerwise import Moments, layer_by_layer, matrices
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.progress import Progress, silent
from zeroskip.model.pruning.criteria import magnitude
from zeroskip.model.pruning.masks import keep_largest, kept_count
from zeroskip.model.pruning.nm import nm_mask

OneShot = Literal["magnitude", "wanda", "sparsegpt"]
"""How weights are chosen."""

ONE_SHOT: tuple[OneShot, ...] = get_args(OneShot)

Kept = float | Pattern
"""The density of a layer, or the N:M pattern of its weights along the input channels."""


def prune_at_once(
    folded: Folded, inputs: NDArray[np.float32], method: OneShot, kept: Kept, progress: Progress = silent
) -> Folded:
    """A pruned copy of a folded network; `inputs` (samples x ...) are samples of what it takes. Biases stay as they
    are. Raises ValueError if the density is not above 0 and at most 1, or the inputs do not fit."""
    if not isinstance(kept, Pattern):
        kept_count(1, kept)

    def change(number: int, layer: nn.Linear | nn.Conv2d, moments: Moments) -> None:
        # Without the constant of the bias.
        seen = moments[:, :-1, :-1]
        if method == "sparsegpt":
            for weight, part in zip(matrices(layer), seen, strict=True):
                pruned = _sparsegpt(weight.double().numpy(), part, kept, _places(layer))
                weight.copy_(torch.from_numpy(pruned))
        else:
            layer.weight.masked_fill_(~_mask(layer, seen, method, kept), 0)

    return layer_by_layer(folded, inputs, change, progress, task=f"pruning by {method}")


def _mask(layer: nn.Linear | nn.Conv2d, moments: Moments, method: OneShot, kept: Kept) -> Tensor:
    scores = magnitude(layer.weight)
    if method == "wanda":
        sizes = torch.from_numpy(np.sqrt(np.diagonal(moments, axis1=1, axis2=2))).to(scores.dtype)
        rows = sizes.repeat_interleave(len(scores) // len(sizes), dim=0)
        scores = scores * rows.reshape(scores.shape)
    if isinstance(kept, Pattern):
        return nm_mask(scores, kept)
    if method == "magnitude":
        return keep_largest(scores, kept_count(scores.numel(), kept))
    flat = scores.flatten(1)
    count = kept_count(flat.shape[1], kept)
    largest = flat.sort(dim=1, descending=True, stable=True).indices[:, :count]
    return torch.zeros_like(flat, dtype=torch.bool).scatter(1, largest, True).reshape(scores.shape)


def _sparsegpt(weight: Matrix, moments: Matrix, kept: Kept, places: int) -> Matrix:
    """The pruned weight (outputs x inputs) of one group. The inputs are those of `places` of a kernel, for each
    channel."""
    count = weight.shape[1]
    # The groups of a pattern are neighbouring channels at one place.
    order = np.arange(count).reshape(-1, places).T.ravel()
    root = root_of_inverse(dampened(moments, count)[np.ix_(order, order)])
    certainty = np.diag(root)
    mask = np.zeros(weight.shape, bool)

    def begin(columns: slice, values: Matrix) -> None:
        scores = torch.from_numpy((values / certainty[columns]) ** 2)
        found = (
            nm_mask(scores, kept)
            if isinstance(kept, Pattern)
            else keep_largest(scores, kept_count(scores.numel(), kept))
        )
        mask[:, columns] = found.numpy()

    def rounded(column: int, values: Matrix) -> Matrix:
        return values * mask[:, column]

    blocks = _groups(count, places, kept.group) if isinstance(kept, Pattern) else None
    pruned = np.empty_like(weight)
    pruned[:, order] = spread_errors(weight[:, order], root, rounded, blocks=blocks, begin=begin)
    return pruned


def _places(layer: nn.Linear | nn.Conv2d) -> int:
    return layer.kernel_size[0] * layer.kernel_size[1] if isinstance(layer, nn.Conv2d) else 1


def _groups(count: int, places: int, size: int) -> Sequence[slice]:
    """The groups of the pattern, place after place; the last ones of each may be smaller."""
    channels = count // places
    return [
        slice(place * channels + first, place * channels + min(first + size, channels))
        for place in range(places)
        for first in range(0, channels, size)
    ]
