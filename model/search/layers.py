"""The layers of a network as searches see them: what they multiply, and with what."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.pruning.fitting import run
from zeroskip.model.pruning.masks import prunable_layers


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A Linear or Conv2d layer: `positions` products with its weight an image, and the inputs of some of them.

    `rows` (bool, starts x inputs) tells which inputs are not zero, position by position of `images` images; those of a
    convolution with groups are the inputs of all groups. `size` is the height and width of an input, 1 x 1 for a
    Linear. `bias` is True where the layer has one when batch normalisation is folded into it.
    """

    name: str
    module: nn.Linear | nn.Conv2d
    bias: bool
    size: tuple[int, int]
    positions: int
    rows: NDArray[np.bool_]
    images: int

    @property
    def weight(self) -> Tensor:
        return self.module.weight.detach()

    @property
    def groups(self) -> int:
        return self.module.groups if isinstance(self.module, nn.Conv2d) else 1

    @property
    def channels(self) -> tuple[int, int]:
        """Inputs and outputs: channels of a convolution, of all groups, or features."""
        layer = self.module
        if isinstance(layer, nn.Linear):
            return layer.in_features, layer.out_features
        return layer.in_channels, layer.out_channels

    @property
    def depthwise(self) -> bool:
        """Whether the layer has a group for each of its channels."""
        return self.groups == self.channels[0] == self.channels[1] > 1

    @property
    def weights(self) -> int:
        return self.weight.numel()

    @property
    def macs(self) -> int:
        """Multiplications of an image, dense."""
        return self.weights * self.positions


@dataclass
class _Seen:
    """What a layer was given, call by call."""

    size: tuple[int, int] = (1, 1)
    rows: list[NDArray[np.bool_]] = field(default_factory=list)
    normalised: bool = False


def read_layers(module: nn.Module, inputs: NDArray[np.float32]) -> list[Layer]:
    """The layers that a network runs, in the order in which it does, with what they meet in a few images `inputs`.

    Any network will do, residual or not: it is run, not traced. Raises ValueError where the inputs do not fit it.
    """
    layers = prunable_layers(module)
    seen: dict[str, _Seen] = {}
    # Which layer made a tensor: batch normalisation that takes it will be folded into that layer.
    made: dict[int, tuple[str, Tensor]] = {}

    def before(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            at = seen.setdefault(name, _Seen())
            at.rows.append(_rows(layers[name], given[0]))
            if isinstance(layer, nn.Conv2d):
                at.size = (given[0].shape[2], given[0].shape[3])

        return hook

    def after(name: str) -> Callable[..., None]:
        def hook(layer: nn.Module, given: tuple[Tensor, ...], result: Tensor) -> None:
            made[id(result)] = (name, result)

        return hook

    def normalises(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if id(given[0]) in made:
            seen[made[id(given[0])][0]].normalised = True

    handles: list[Any] = []
    for name, layer in layers.items():
        handles += [layer.register_forward_pre_hook(before(name)), layer.register_forward_hook(after(name))]
    norms = [part for part in module.modules() if isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d)]
    handles += [norm.register_forward_pre_hook(normalises) for norm in norms]
    try:
        run(module, torch.from_numpy(inputs))
    finally:
        for handle in handles:
            handle.remove()
    found = []
    for name, at in seen.items():
        rows = np.concatenate(at.rows)
        found.append(
            Layer(
                name=name,
                module=layers[name],
                bias=layers[name].bias is not None or at.normalised,
                size=at.size,
                positions=len(rows) // len(inputs),
                rows=rows,
                images=len(inputs),
            )
        )
    return found


@torch.no_grad()
def _rows(layer: nn.Linear | nn.Conv2d, given: Tensor) -> NDArray[np.bool_]:
    """Which inputs are not zero, position by position: (starts, inputs)."""
    nonzero = (given != 0).float()
    if isinstance(layer, nn.Linear):
        return nonzero.reshape(-1, nonzero.shape[-1]).bool().numpy()
    patches = patches_of(layer, nonzero)
    return patches.transpose(1, 2).reshape(-1, patches.shape[1]).bool().numpy()


def patches_of(layer: nn.Conv2d, given: Tensor) -> Tensor:
    """What a convolution multiplies at each position: (n, inputs, positions)."""
    sides = layer._reversed_padding_repeated_twice
    around = F.pad(given, sides, mode="constant" if layer.padding_mode == "zeros" else layer.padding_mode)
    return F.unfold(around, layer.kernel_size, dilation=layer.dilation, stride=layer.stride)


def matrix_mask(mask: Tensor, groups: int) -> NDArray[np.bool_]:
    """A mask of a weight as one of the matrix that stands for it (outputs x inputs), block-diagonal with groups."""
    outputs = len(mask)
    rows = mask.reshape(groups, outputs // groups, -1).numpy()
    matrix = np.zeros((groups, outputs // groups, groups, rows.shape[2]), bool)
    group = np.arange(groups)
    matrix[group, :, group] = rows
    return matrix.reshape(outputs, -1)
