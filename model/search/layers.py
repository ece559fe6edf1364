"""The layers of a network as searches see them: what they multiply, and with what."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from model.compiler.chain import ConvStep, LinearStep, chain
from model.compiler.fold import fold
from model.pruning.fitting import as_taken, require_shape
from model.pruning.masks import prunable_layers


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A Linear or Conv2d layer: `positions` products with its weight an image, and the inputs of some of them.

    `matrix` (float32, outputs x inputs) is the weight as a matrix, block-diagonal where a convolution has groups;
    `rows` (bool, starts x inputs) tells which inputs are not zero, position by position of `images` images.
    """

    name: str
    weight: Tensor
    groups: int
    bias: bool
    positions: int
    rows: NDArray[np.bool_]
    images: int

    @property
    def weights(self) -> int:
        return self.weight.numel()

    @property
    def macs(self) -> int:
        """Multiplications of an image, dense."""
        return self.weights * self.positions


def read_layers(module: nn.Module, inputs: NDArray[np.float32]) -> list[Layer]:
    """The layers of a network, in the order in which they run, with what they meet in a few images `inputs`.

    Raises ValueError where the network cannot be read as a chain or the inputs do not fit it.
    """
    names = {id(layer): name for name, layer in prunable_layers(module).items()}
    steps = [step for step in chain(module) if isinstance(step, LinearStep | ConvStep)]
    folded = fold(module).eval()
    require_shape(folded, inputs, "inputs")
    layers: list[Layer] = []
    values = as_taken(torch.from_numpy(inputs), folded)
    with torch.no_grad():
        for part in folded:
            if isinstance(part, nn.Linear | nn.Conv2d):
                step = steps[len(layers)]
                rows, positions, groups = _rows(part, values)
                layers.append(
                    Layer(
                        name=names[id(step.module)],
                        weight=step.module.weight.detach(),
                        groups=groups,
                        bias=part.bias is not None,
                        positions=positions,
                        rows=rows,
                        images=len(inputs),
                    )
                )
            values = part(values)
    return layers


def _rows(part: nn.Linear | nn.Conv2d, values: Tensor) -> tuple[NDArray[np.bool_], int, int]:
    """Which inputs are not zero, position by position; the positions of an image; and the groups."""
    if isinstance(part, nn.Linear):
        return (values != 0).numpy(), 1, 1
    patches = F.unfold((values != 0).float(), part.kernel_size, padding=part.padding, stride=part.stride)  # type: ignore[arg-type]
    rows = patches.transpose(1, 2).reshape(-1, patches.shape[1]) != 0
    return rows.numpy(), patches.shape[2], part.groups


def matrix_mask(mask: Tensor, groups: int) -> NDArray[np.bool_]:
    """A mask of a weight as one of the matrix that stands for it (outputs x inputs), block-diagonal with groups."""
    outputs = len(mask)
    rows = mask.reshape(groups, outputs // groups, -1).numpy()
    matrix = np.zeros((groups, outputs // groups, groups, rows.shape[2]), bool)
    group = np.arange(groups)
    matrix[group, :, group] = rows
    return matrix.reshape(outputs, -1)
