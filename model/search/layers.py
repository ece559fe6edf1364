"""The layers of a network as searches see them: their products, and which of their inputs are zero."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.core import Windows
from zeroskip.model.pruning.data_checks import network_outputs
from zeroskip.model.pruning.masks import prunable_layers


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """A Linear or Conv2d layer, which multiplies its weight matrix by a vector at each of the `positions` of an image.

    `rows` (bool, positions of `images` images x inputs) is True where an input of such a vector is not zero. For a
    convolution with groups the vector has the inputs of all groups. `size` is the height and width of the layer's
    input, 1 x 1 for a Linear layer. `bias` is True if the layer has a bias once batch normalisation is folded into it.
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
        """The numbers of inputs and outputs: features, or the channels of all groups of a convolution."""
        layer = self.module
        if isinstance(layer, nn.Linear):
            return layer.in_features, layer.out_features
        return layer.in_channels, layer.out_channels

    @property
    def windows(self) -> Windows | None:
        """The windows of a convolution without dilation; otherwise None."""
        layer = self.module
        if isinstance(layer, nn.Linear) or layer.dilation != (1, 1):
            return None
        (high, wide), (down, across) = layer.kernel_size, layer.stride
        left, right, top, bottom = layer._reversed_padding_repeated_twice
        rows, columns = self.size[0] + top + bottom, self.size[1] + left + right
        size = ((rows - high) // down + 1, (columns - wide) // across + 1)
        return Windows(size=size, kernel=(high, wide), stride=(down, across))

    @property
    def depthwise(self) -> bool:
        """Whether each channel is a group of its own."""
        return self.groups == self.channels[0] == self.channels[1] > 1

    @property
    def weights(self) -> int:
        return self.weight.numel()

    @property
    def macs(self) -> int:
        """Multiplications for an image in the dense layer."""
        return self.weights * self.positions


@dataclass
class _Seen:
    """What is recorded about a layer while the network runs."""

    size: tuple[int, int] = (1, 1)
    rows: list[NDArray[np.bool_]] = field(default_factory=list)
    batch_norm: bool = False


def read_layers(module: nn.Module, inputs: NDArray[np.float32]) -> list[Layer]:
    """The layers of a network in the order in which it runs them, with their activations for a few images `inputs`.

    Any network works, with branches or without: it is run, not traced. Raises ValueError if the inputs do not fit.
    """
    layers = prunable_layers(module)
    seen: dict[str, _Seen] = {}
    # The layer that returned a tensor: batch normalisation of this tensor will be folded into that layer.
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

    def before_batch_norm(layer: nn.Module, given: tuple[Tensor, ...]) -> None:
        if id(given[0]) in made:
            seen[made[id(given[0])][0]].batch_norm = True

    handles: list[Any] = []
    for name, layer in layers.items():
        handles += [layer.register_forward_pre_hook(before(name)), layer.register_forward_hook(after(name))]
    norms = [layer for layer in module.modules() if isinstance(layer, nn.BatchNorm1d | nn.BatchNorm2d)]
    handles += [norm.register_forward_pre_hook(before_batch_norm) for norm in norms]
    try:
        network_outputs(module, torch.from_numpy(inputs))
    finally:
        for handle in handles:
            handle.remove()
    read = []
    for name, at in seen.items():
        rows = np.concatenate(at.rows)
        read.append(
            Layer(
                name=name,
                module=layers[name],
                bias=layers[name].bias is not None or at.batch_norm,
                size=at.size,
                positions=len(rows) // len(inputs),
                rows=rows,
                images=len(inputs),
            )
        )
    return read


@torch.no_grad()
def _rows(layer: nn.Linear | nn.Conv2d, given: Tensor) -> NDArray[np.bool_]:
    """Which inputs are not zero, position by position: bool (positions of all images, inputs)."""
    nonzero = (given != 0).float()
    if isinstance(layer, nn.Linear):
        return nonzero.reshape(-1, nonzero.shape[-1]).bool().numpy()
    patches = patches_of(layer, nonzero)
    return patches.transpose(1, 2).reshape(-1, patches.shape[1]).bool().numpy()


def padded(layer: nn.Conv2d, given: Tensor) -> Tensor:
    """The input of a convolution (n, channels, height, width) with its padding around it."""
    sides = layer._reversed_padding_repeated_twice
    return F.pad(given, sides, mode="constant" if layer.padding_mode == "zeros" else layer.padding_mode)


def patches_of(layer: nn.Conv2d, given: Tensor) -> Tensor:
    """The input vectors of a convolution at all its positions (im2col): (n, inputs, positions)."""
    return F.unfold(padded(layer, given), layer.kernel_size, dilation=layer.dilation, stride=layer.stride)


def matrix_mask(mask: Tensor, groups: int) -> NDArray[np.bool_]:
    """The mask of a weight (outputs, ...) as a matrix (outputs, inputs of all groups), block-diagonal for `groups`."""
    outputs = len(mask)
    rows = mask.reshape(groups, outputs // groups, -1).numpy()
    matrix = np.zeros((groups, outputs // groups, groups, rows.shape[2]), bool)
    group = np.arange(groups)
    matrix[group, :, group] = rows
    return matrix.reshape(outputs, -1)
