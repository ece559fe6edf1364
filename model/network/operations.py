"""The operations of a folded network, in order: sizes, windows and what each reads, without the weights."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.activations import activation_module
from zeroskip.model.network.moves import Move
from zeroskip.model.network.operation_base import BaseOperation
from zeroskip.model.network.pooling import Pair
from zeroskip.model.network.token_operations import TokenOperation


@dataclass(frozen=True, kw_only=True)
class Linear(BaseOperation):
    """A fully connected layer of each of `rows` parts of a sample, such as tokens, and the ReLU after it where
    `relu`."""

    inputs: int
    outputs: int
    relu: bool
    rows: int = 1


@dataclass(frozen=True, kw_only=True)
class Recurrence(Linear):
    """The layer of a recurrent `cell` (zeroskip.model.network.cells), from states of `inputs` values to the sums of its
    gates, once for each of the `rows`, its steps. Reads the sums of the steps' inputs, and gives the states."""

    cell: str


@dataclass(frozen=True, kw_only=True)
class Convolution(BaseOperation):
    """A convolution of images of `channels`, and the ReLU after it where `relu`."""

    channels: int
    outputs: int
    kernel: Pair
    stride: Pair
    padding: Pair
    groups: int
    relu: bool
    dilation: Pair = (1, 1)


@dataclass(frozen=True, kw_only=True)
class MaxPooling(BaseOperation):
    """Max pooling, as nn.MaxPool2d does it."""

    kernel: Pair
    stride: Pair
    padding: Pair
    dilation: Pair = (1, 1)
    ceil: bool = False

    def module(self) -> nn.MaxPool2d:
        return nn.MaxPool2d(self.kernel, self.stride, self.padding, self.dilation, ceil_mode=self.ceil)


@dataclass(frozen=True, kw_only=True)
class AveragePooling(BaseOperation):
    """Average pooling, and the ReLU after it where `relu`. `kernel` is None where it is the whole image.

    It has no weights that are pruned, counted or trained. Cores run it as a convolution with
    a group for each channel and one constant weight (zeroskip.model.network.lower).
    """

    kernel: Pair | None
    stride: Pair
    padding: Pair
    relu: bool

    def module(self) -> nn.AvgPool2d | nn.AdaptiveAvgPool2d:
        """The pooling, without its ReLU."""
        return nn.AdaptiveAvgPool2d(1) if self.kernel is None else nn.AvgPool2d(self.kernel, self.stride, self.padding)


@dataclass(frozen=True, kw_only=True)
class Addition(BaseOperation):
    """The sum of two results of one size, images where `images`, and the ReLU after it where `relu`."""

    images: bool
    relu: bool

    def module(self) -> nn.Module:
        """The addition, without its ReLU."""
        return Add()


@dataclass(frozen=True, kw_only=True)
class Concatenation(BaseOperation):
    """Results behind one another: the channels of images where `images`, else flat values."""

    images: bool

    def module(self) -> nn.Module:
        return Concat()


@dataclass(frozen=True, kw_only=True)
class Multiplication(BaseOperation):
    """The product of two results of one size; or, where `images`, each channel of the first times one value of the
    second."""

    images: bool

    def module(self) -> nn.Module:
        return Multiply()


@dataclass(frozen=True, kw_only=True)
class Clamping(BaseOperation):
    """Values from `low` to `high`, as nn.Hardtanh gives them; a ReLU of its own has the `high` infinity."""

    low: float
    high: float

    def module(self) -> nn.Module:
        return nn.ReLU() if (self.low, self.high) == (0, float("inf")) else nn.Hardtanh(self.low, self.high)


@dataclass(frozen=True, kw_only=True)
class Activation(BaseOperation):
    """A `function` (zeroskip.model.network.activations) of each value, with its `argument`, 0 where it has none."""

    function: str
    argument: float

    def module(self) -> nn.Module:
        return activation_module(self.function, self.argument)


@dataclass(frozen=True, kw_only=True)
class Rearrangement(BaseOperation):
    """Values of a sample from other places."""

    move: Move

    def module(self) -> nn.Module:
        return Rearrange(self.move)


@dataclass(frozen=True, kw_only=True)
class Imaging(BaseOperation):
    """Takes flat values for images of `shape` (channels, height, width); nothing is computed or moved."""

    shape: tuple[int, int, int]

    def module(self) -> nn.Module:
        return nn.Unflatten(1, self.shape)


@dataclass(frozen=True, kw_only=True)
class Spreading(BaseOperation):
    """Images whose values are `apart` (down, across), with zeros between them, and `tail` rows and columns of zeros
    behind them."""

    apart: Pair
    tail: Pair

    def module(self) -> nn.Module:
        return Spread(self.apart, self.tail)


HostOperation = (
    Addition | Multiplication | Concatenation | Clamping | Activation | Rearrangement | Spreading | TokenOperation
)
"""What the host computes between the layers of every core."""

Operation = Linear | Convolution | MaxPooling | AveragePooling | Imaging | HostOperation
"""Where a Linear reads images, they are flattened before it."""


def in_table(operation: Operation) -> bool:
    """Whether an operation is a row of a core's layer table: all that multiply."""
    return isinstance(operation, Linear | Convolution | AveragePooling)


def has_relu(operation: Operation) -> bool:
    """Whether a ReLU belongs to an operation."""
    return isinstance(operation, Linear | Convolution | AveragePooling | Addition) and operation.relu


class Add(nn.Module):
    """Addition as a layer of two inputs."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one + other


class Multiply(nn.Module):
    """Multiplication as a layer of two inputs; the second may be images of 1 x 1, a factor for each channel."""

    def forward(self, one: Tensor, other: Tensor) -> Tensor:
        return one * other


class Recurrent(nn.Linear):
    """A recurrent layer: its weights are those of the state, and it reads the sums of all steps' inputs (n, steps *
    gates * hidden values)."""

    cell: str

    def forward(self, input: Tensor) -> Tensor:
        return all_states(self.cell, input, self.weight, self.bias)


def all_states(cell: str, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """The states of all steps (n, steps * hidden values) of a recurrent `cell`, from the sums of the steps' inputs and
    the weight (gates * hidden values, hidden values) of the states."""
    sums, hidden = weight.shape
    state = memory = inputs.new_zeros(len(inputs), hidden)
    found = []
    for given in inputs.reshape(len(inputs), -1, sums).unbind(1):
        state, memory = _step(cell, given, F.linear(state, weight, bias), state, memory)
        found.append(state)
    return torch.cat(found, 1)


def _step(cell: str, inputs: Tensor, recurrent: Tensor, state: Tensor, memory: Tensor) -> tuple[Tensor, Tensor]:
    a, b = (torch.split(part, state.shape[1], 1) for part in (inputs, recurrent))
    if cell == "lstm":
        enter, forget, output = (torch.sigmoid(a[gate] + b[gate]) for gate in (0, 1, 3))
        memory = forget * memory + enter * torch.tanh(a[2] + b[2])
        return output * torch.tanh(memory), memory
    if cell == "gru":
        reset, keep = (torch.sigmoid(a[gate] + b[gate]) for gate in (0, 1))
        return (1 - keep) * torch.tanh(a[2] + reset * b[2]) + keep * state, memory
    return (torch.tanh if cell == "rnn_tanh" else torch.relu)(a[0] + b[0]), memory


def recurrent(cell: str, hidden: int, sums: int, *, bias: bool) -> Recurrent:
    """A recurrent layer without weights yet."""
    layer = Recurrent(hidden, sums, bias=bias)
    layer.cell = cell
    return layer


class Spread(nn.Module):
    """Zeros between the values of images, as a layer."""

    def __init__(self, apart: Pair, tail: Pair) -> None:
        super().__init__()
        self.apart, self.tail = apart, tail

    def forward(self, images: Tensor) -> Tensor:
        sizes = zip(images.shape[2:], self.apart, self.tail, strict=True)
        high, wide = ((size - 1) * apart + 1 + tail for size, apart, tail in sizes)
        found = images.new_zeros(*images.shape[:2], high, wide)
        found[:, :, : high - self.tail[0] : self.apart[0], : wide - self.tail[1] : self.apart[1]] = images
        return found


class Rearrange(nn.Module):
    """A move of flat values as a layer."""

    places: Tensor

    def __init__(self, move: Move) -> None:
        super().__init__()
        self.register_buffer("places", torch.from_numpy(move.places()), persistent=False)

    def forward(self, values: Tensor) -> Tensor:
        return values[:, self.places]


class Concat(nn.Module):
    """Concatenation of values, or channels, as a layer of several inputs."""

    def forward(self, *parts: Tensor) -> Tensor:
        return torch.cat(parts, 1)
