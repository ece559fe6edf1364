"""The steps of a network, as `zeroskip.model.network.graph` reads them."""

from __future__ import annotations

from dataclasses import dataclass, field

from torch import Tensor, nn

from zeroskip.model.network.moves import Move
from zeroskip.model.network.operations import Recurrent
from zeroskip.model.network.token_operations import TokenOperation

INPUT = -1
"""The number of the network's input among the values that steps read."""


@dataclass(frozen=True, kw_only=True)
class NetworkStep:
    """One step of a network, which reads the results of the steps `sources` (numbers of earlier steps, or INPUT).

    `label` is its name for the user ("layer 'fc1'", "operation 'relu'"), `place` the line of the user's forward() that
    calls it, or "" ("nets.py, line 12"). `output` is what torch gave after it for a few samples (n, ...), where the
    network was read with samples.
    """

    label: str
    sources: tuple[int, ...]
    place: str = ""
    output: Tensor | None = field(default=None, repr=False, compare=False)

    def error(self, problem: str) -> ValueError:
        """The error for a `problem` with this step, with its place."""
        return at_place(problem, self.place)


@dataclass(frozen=True, kw_only=True)
class LinearStep(NetworkStep):
    """A fully connected layer of each of the `rows` of values of a sample, which are its last dimension."""

    module: nn.Linear
    rows: int = 1


@dataclass(frozen=True, kw_only=True)
class ConvStep(NetworkStep):
    """A convolution; `padding` is in numbers (height, width), also where the module has a name for it. A Conv1d is one
    of images of height 1."""

    module: nn.Conv1d | nn.Conv2d
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)

    @property
    def weight(self) -> Tensor:
        """(outputs, channels of a group, height, width)."""
        weight = self.module.weight
        return weight if weight.dim() == 4 else weight.unsqueeze(2)

    @property
    def stride(self) -> tuple[int, int]:
        *down, across = self.module.stride
        return down[0] if down else 1, across


@dataclass(frozen=True, kw_only=True)
class MaxPoolStep(NetworkStep):
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: tuple[int, int] = (1, 1)
    ceil: bool = False


@dataclass(frozen=True, kw_only=True)
class AveragePoolStep(NetworkStep):
    """Average pooling that divides by the size of the kernel everywhere; `kernel` is None where it is the image."""

    kernel: tuple[int, int] | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)


@dataclass(frozen=True, kw_only=True)
class BatchNormStep(NetworkStep):
    """Batch normalisation of the channels of `images`, else of flat values."""

    module: nn.BatchNorm1d | nn.BatchNorm2d
    images: bool


@dataclass(frozen=True, kw_only=True)
class ReluStep(NetworkStep):
    pass


@dataclass(frozen=True, kw_only=True)
class ClampStep(NetworkStep):
    """Values below `low` become `low`, those above `high` become `high`; `high` is above `low`."""

    low: float
    high: float


@dataclass(frozen=True, kw_only=True)
class ActivationStep(NetworkStep):
    """A `function` (zeroskip.model.network.activations) of each value, with its `argument`, 0 where it has none."""

    function: str
    argument: float = 0.0


@dataclass(frozen=True, kw_only=True)
class AddStep(NetworkStep):
    """The sum of two values of the same shape."""


@dataclass(frozen=True, kw_only=True)
class ConcatStep(NetworkStep):
    """The values of each sample behind one another: the channels of images, or flat values."""


@dataclass(frozen=True, kw_only=True)
class MultiplyStep(NetworkStep):
    """The product of two values of the same shape; or, where `gate`, each channel of the first times one value of the
    second. `gate` is None where shapes are not known."""

    gate: bool | None


@dataclass(frozen=True, kw_only=True)
class FlattenStep(NetworkStep):
    """Flattens (n, ...) to (n, width); `width` is None where the network does not state it."""

    width: int | None


@dataclass(frozen=True, kw_only=True)
class MoveStep(NetworkStep):
    """Values of each sample from other places, or another shape of it. `before` is the shape of what it reads."""

    move: Move
    before: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class RecurrentStep(NetworkStep):
    """The recurrent part of a layer, of `steps`."""

    module: Recurrent
    steps: int


@dataclass(frozen=True, kw_only=True)
class SpreadStep(NetworkStep):
    """Images with zeros between their values, which are `apart`, and behind them (`tail`)."""

    apart: tuple[int, int]
    tail: tuple[int, int]


@dataclass(frozen=True, kw_only=True)
class TokenStep(NetworkStep):
    """An `operation` of flat values."""

    operation: TokenOperation


@dataclass(frozen=True, kw_only=True)
class SoftmaxStep(NetworkStep):
    """A softmax or log_softmax (`kind`) over `dim`, None where torch chooses the dimension. `positions` are the values
    that its input has for each class, None where that is not known. A network may end in it."""

    kind: str
    dim: int | None
    positions: int | None


def at_place(problem: str, place: str) -> ValueError:
    """The error for a `problem` at a place in the user's code ("" for none)."""
    return ValueError(f"{problem} ({place})" if place else problem)
