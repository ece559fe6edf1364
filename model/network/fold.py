"""Brings a torch network into the form that cores run: layers with or without ReLU, and what the host computes between
them (zeroskip.model.network.operations)."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.network.folded import Folded
from zeroskip.model.network.graph import as_inputs_of, read_steps
from zeroskip.model.network.moves import Move, move_to
from zeroskip.model.network.operations import (
    Activation,
    Addition,
    AveragePooling,
    Clamping,
    Concatenation,
    Convolution,
    Imaging,
    Linear,
    MaxPooling,
    Multiplication,
    Operation,
    Rearrangement,
    Recurrence,
    Spreading,
)
from zeroskip.model.network.same import require_same
from zeroskip.model.network.steps import (
    INPUT,
    ActivationStep,
    AddStep,
    AveragePoolStep,
    BatchNormStep,
    ClampStep,
    ConcatStep,
    ConvStep,
    FlattenStep,
    LinearStep,
    MaxPoolStep,
    MoveStep,
    MultiplyStep,
    NetworkStep,
    RecurrentStep,
    ReluStep,
    SoftmaxStep,
    SpreadStep,
    TokenStep,
)
from zeroskip.model.network.token_operations import (
    Constant,
    Embedding,
    MatrixProduct,
    Normalization,
    Scaling,
    Softmaxing,
    TokenOperation,
)
from zeroskip.model.network.trace import Untraceable, WrongShape, sample_shape
from zeroskip.model.network.wrappers import unwrapped

Samples = Tensor | NDArray[Any]
"""Inputs of a network (n, ...)."""


def fold(module: nn.Module, samples: Samples | None = None) -> Folded:
    """The operations of `module` in eval mode as one float32 network that computes the same, and whose last result is
    flattened.

    It takes flat inputs (n, features) where nothing reads images, else images (n, channels, height, width). A ReLU
    belongs to the layer or addition before it where nothing else reads that, also through a max pooling, with the same
    result. Average pooling is kept: it can only be made a convolution where the size of the images is known
    (zeroskip.model.network.lower).

    A BatchNorm after a Linear or Conv2d that nothing else reads is folded back into it; another one is folded forward
    into the Linear or Conv2d after it, or becomes a layer of its own where that is not possible: before a ReLU, a max
    pooling, an addition, a concatenation, a convolution that pads by zeros, and at the end. A layer gets a bias only
    where it had one or folding needs one. A softmax or log_softmax at the end is left out (`fold_and_softmax` names
    it). `module` is not changed.

    With `samples`, inputs of the network, its forward() may look at shapes, and the result is compared with what torch
    gives for a few of them.

    Raises ValueError naming the layer or operation that cannot be brought into this form, or where the result differs.
    """
    return _folded(module, samples)[0]


def fold_and_softmax(module: nn.Module, samples: Samples | None = None) -> tuple[Folded, str | None]:
    """What `fold` returns, and the name of the softmax or log_softmax at the end of the network, which it leaves out as
    it does not change the class; None where there is none. Raises ValueError as `fold` does."""
    folded, softmax = _folded(module, samples)
    return folded, None if softmax is None else f"{softmax.kind} ({softmax.label})"


def _folded(module: nn.Module, samples: Samples | None) -> tuple[Folded, SoftmaxStep | None]:
    module = unwrapped(module)
    if isinstance(module, Folded):
        return module, None
    if samples is None:
        folding = _fold(read_steps(module))
        return folding.result(), folding.softmax
    given = as_inputs_of(module, torch.as_tensor(samples))
    try:
        folding = _fold(read_steps(module, given), tuple(given.shape[1:]))
    except WrongShape as wrong:
        try:
            folded, softmax = _folded(module, None)
        except Untraceable:
            # It decides by shapes.
            raise wrong from None
        except ValueError as error:
            # Perhaps no shape would help.
            raise WrongShape(f"{error}; and {wrong}") from None
        first = folded[0]
        if isinstance(first, nn.Linear) and given.dim() > 2 and given[0].numel() == first.in_features:
            # A network of flat values may be given images: cores see them as flat.
            return _folded(module, given.flatten(1))
        if _runs(folded, given):
            # The shape is right, and something else is wrong with the network, which torch cannot run.
            raise wrong from None
        # It does not run on these samples, and who runs it on them knows better what is wrong with their shape.
        return folded, softmax
    folded = folding.result()
    require_same(module, folded, given, folding.softmax)
    return folded, folding.softmax


@torch.no_grad()
def _runs(folded: Folded, samples: Tensor) -> bool:
    """Whether a folded network takes samples (n, ...) of this shape."""
    given = samples[:1].float()
    try:
        folded(given if folded.images else given.flatten(1))
    except RuntimeError:
        return False
    return True


def _fold(steps: Sequence[NetworkStep], shape: tuple[int, ...] | None = None) -> _Folding:
    """Folds the steps of a network, whose samples have the `shape` where that is known."""
    readers = Counter(source for step in steps for source in set(step.sources))
    folding = _Folding()
    folding.input.shape = shape
    for number, step in enumerate(steps):
        try:
            folding.add(step, alone=readers[number] <= 1)
        except ValueError as error:
            raise step.error(str(error)) from error
    return folding


@dataclass(frozen=True, kw_only=True)
class _Window:
    """The window of a convolution over images of `channels`."""

    channels: int
    kernel: tuple[int, ...] = (1, 1)
    stride: tuple[int, ...] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    groups: int = 1
    dilation: tuple[int, ...] = (1, 1)


@dataclass
class _Layer:
    """A Linear or Conv2d in the making: weight (outputs, ...) and bias (outputs,) in float64."""

    label: str
    weight: Tensor
    bias: Tensor | None
    window: _Window | None = None
    relu: bool = False
    rows: int = 1

    def module(self) -> nn.Linear | nn.Conv2d:
        outputs, inputs = self.weight.shape[:2]
        made: nn.Linear | nn.Conv2d
        if self.window is None:
            made = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=self.bias is not None)
        else:
            made = nn.utils.skip_init(
                nn.Conv2d,
                self.window.channels,
                outputs,
                self.window.kernel,
                stride=self.window.stride,
                padding=self.window.padding,
                dilation=self.window.dilation,
                groups=self.window.groups,
                bias=self.bias is not None,
            )
        with torch.no_grad():
            made.weight.copy_(self.weight)
            if made.bias is not None and self.bias is not None:
                made.bias.copy_(self.bias)
        # Folding divides by standard deviations, and float32 ends at 3.4e38.
        for name, parameter in made.named_parameters():
            _finite(self.label, f"folded {name}", parameter)
        return made


@dataclass
class _Average:
    """An average pooling, and whether a ReLU follows it."""

    step: AveragePoolStep
    relu: bool = False

    @property
    def linear(self) -> bool:
        """Whether it commutes with an affine map of the channels; zeros of the padding would be changed by the map."""
        return not self.relu and self.step.padding == (0, 0)


@dataclass
class _Sum:
    """An addition, and whether a ReLU follows it."""

    relu: bool = False


@dataclass
class _Affine:
    """A BatchNorm that waits for the layer after it: `x * scale + shift`, both (features or channels,) in float64."""

    label: str
    scale: Tensor
    shift: Tensor

    def spread(self, width: int) -> _Affine:
        """The same on `width` values, to which the channels were flattened."""
        each = width // len(self.scale)
        return _Affine(self.label, self.scale.repeat_interleave(each), self.shift.repeat_interleave(each))


@dataclass(eq=False)
class _Value:
    """What a step gives: the result of operation `made_by` (a number, or INPUT), and then the map `waiting`.

    `width` are the features, or the channels where `images`; both are None while they are not known. Where it is
    `alone`, nothing but the next step reads it, or what was between it and the operation, so that this may change.
    `shape` is that of torch's value without the samples, where it is known.
    """

    made_by: int
    waiting: _Affine | None = None
    width: int | None = None
    images: bool | None = None
    alone: bool = True
    shape: tuple[int, ...] | None = None


@dataclass(frozen=True)
class _ImageShape:
    """Flat values that become images."""

    shape: tuple[int, int, int]


@dataclass(eq=False)
class _Made:
    """An operation in the making, which reads the results of operations `sources` (`given` as values, before they were
    flattened)."""

    operation: (
        _Layer
        | _Average
        | MaxPoolStep
        | ClampStep
        | ActivationStep
        | _Sum
        | MultiplyStep
        | ConcatStep
        | Move
        | RecurrentStep
        | SpreadStep
        | _ImageShape
        | TokenOperation
    )
    given: tuple[_Value, ...]
    sources: tuple[int, ...] = field(init=False)
    result: _Value = field(init=False)

    def __post_init__(self) -> None:
        self.sources = tuple(value.made_by for value in self.given)


class _Folding:
    """The operations made so far, and what each step gives. `softmax` is the last step of a network that ends in
    one."""

    def __init__(self) -> None:
        self.made: list[_Made] = []
        self.input = _Value(INPUT)
        self.values: list[_Value] = []
        self.softmax: SoftmaxStep | None = None

    def add(self, step: NetworkStep, *, alone: bool) -> None:
        """Adds a step, whose result is read by one other step where `alone`. Raises ValueError where it cannot stand
        here."""
        if self.softmax is not None and not isinstance(step, FlattenStep):
            raise self.softmax.error(
                f"{self.softmax.label} is a {self.softmax.kind} before {step.label}; supported: at the end, where it "
                "does not change the class; take it out of the network, and train it again"
            )
        given = [self.input if source == INPUT else self.values[source] for source in step.sources]
        value = given[0]
        match step:
            case LinearStep():
                result = self.linear(step, value)
            case ConvStep():
                result = self.conv(step, value)
            case MaxPoolStep():
                result = self.max_pool(step, value)
            case AveragePoolStep():
                result = self.average_pool(step, value)
            case BatchNormStep():
                result = self.batch_norm(step, value)
            case ReluStep():
                result = self.relu(step, value)
            case ClampStep() | ActivationStep():
                result = self.of_each(step, value)
            case AddStep():
                result = self.sum(step, given)
            case MultiplyStep():
                result = self.product(step, given)
            case ConcatStep():
                result = self.concat(step, given)
            case FlattenStep():
                result = self.flatten(step, value)
            case MoveStep():
                result = self.move(step, value)
            case RecurrentStep():
                for name, parameter in step.module.named_parameters():
                    _finite(step.label, name, parameter)
                self._place_waiting(value)
                result = self._make(step, value, width=None, images=False)
            case SpreadStep():
                value = self._as_images(step.label, "transposed convolution", value)
                self._place_waiting(value)
                result = self._make(step, value, width=value.width, images=True)
            case TokenStep():
                result = self.token(step.operation, given)
            case SoftmaxStep():
                result = self.end_in_softmax(step, value)
            case _:
                raise TypeError(f"step must be a step of a network, not {type(step).__name__}")
        result.alone = result.alone and alone
        if step.output is not None:
            result.shape = sample_shape(step.output)
        self.values.append(result)

    def linear(self, step: LinearStep, value: _Value) -> _Value:
        if value.images and value.shape is None:
            raise ValueError(f"{step.label} is a Linear on images; flatten them before it")
        if value.shape is None or len(value.shape) == 1:
            self._set_images(value, False)
        weight = _finite(step.label, "weight", step.module.weight)
        bias = None if step.module.bias is None else _finite(step.label, "bias", step.module.bias)
        if step.rows > 1:
            self._place_waiting(value)
            return self._make(_Layer(step.label, weight, bias, rows=step.rows), value, width=None, images=False)
        self._require_width(step.label, value, weight.shape[1])
        if value.waiting is not None:
            # W (scale x + shift) + b
            waiting = self._spread(value.waiting, step.label, weight.shape[1])
            carried = weight @ waiting.shift
            bias = carried if bias is None else bias + carried
            weight = weight * waiting.scale
        return self._make(_Layer(step.label, weight, bias), value, width=weight.shape[0], images=False)

    def conv(self, step: ConvStep, value: _Value) -> _Value:
        conv, kernels = step.module, step.weight
        if step.padding != (0, 0) and value.waiting is not None and value.waiting.shift.any():
            # The zeros of the padding come after the batch normalisation.
            self._place_waiting(value)
        value = self._as_images(step.label, "Conv2d", value)
        self._require_width(step.label, value, conv.in_channels)
        weight = _finite(step.label, "weight", kernels)
        bias = None if conv.bias is None else _finite(step.label, "bias", conv.bias)
        if value.waiting is not None:
            # The inputs of each output, (outputs, inputs of a group).
            seen = torch.arange(conv.in_channels).reshape(conv.groups, -1)
            seen = seen.repeat_interleave(conv.out_channels // conv.groups, 0)
            carried = (weight.sum((2, 3)) * value.waiting.shift[seen]).sum(1)
            bias = carried if bias is None else bias + carried
            weight = weight * value.waiting.scale[seen][:, :, None, None]
        window = _Window(
            channels=conv.in_channels,
            kernel=tuple(weight.shape[2:]),
            stride=step.stride,
            padding=step.padding,
            groups=conv.groups,
            dilation=step.dilation,
        )
        return self._make(_Layer(step.label, weight, bias, window), value, width=len(weight), images=True)

    def max_pool(self, step: MaxPoolStep, value: _Value) -> _Value:
        value = self._as_images(step.label, "MaxPool2d", value)
        self._place_waiting(value)
        return self._make(step, value, width=value.width, images=True)

    def average_pool(self, step: AveragePoolStep, value: _Value) -> _Value:
        value = self._as_images(step.label, "pooling", value)
        if step.padding != (0, 0):
            self._place_waiting(value)
        result = self._make(_Average(step), value, width=value.width, images=True)
        result.waiting = value.waiting
        return result

    def batch_norm(self, step: BatchNormStep, value: _Value) -> _Value:
        norm = step.module
        if step.images:
            value = self._as_images(step.label, "BatchNorm2d", value)
        self._require_width(step.label, value, norm.num_features)
        if not step.images:
            if value.images:
                raise ValueError(f"{step.label} is a BatchNorm1d on images; flatten them before it")
            self._set_images(value, False)
        layer = self._open_layer(value, images=step.images)
        mean, variance = (_finite(step.label, name, getattr(norm, name)) for name in ("running_mean", "running_var"))
        scale, shift = 1 / torch.sqrt(variance + norm.eps), torch.zeros_like(mean)
        if norm.weight is not None:
            scale = scale * _finite(step.label, "weight", norm.weight)
        if norm.bias is not None:
            shift = _finite(step.label, "bias", norm.bias)
        shift = shift - mean * scale
        waiting = value.waiting
        if waiting is not None:
            waiting = self._spread(waiting, step.label, norm.num_features)
            waiting = _Affine(step.label, waiting.scale * scale, waiting.shift * scale + shift)
        elif layer is not None:
            layer.weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
            layer.bias = shift if layer.bias is None else layer.bias * scale + shift
        else:
            waiting = _Affine(step.label, scale, shift)
        return _Value(value.made_by, waiting, norm.num_features, value.images, value.alone)

    def relu(self, step: ReluStep, value: _Value) -> _Value:
        self._place_waiting(value)
        place, alone = value.made_by, value.alone
        # Also if a max pooling is in between: ReLU before or after it gives the same maximum.
        while place != INPUT and isinstance(self.made[place].operation, MaxPoolStep):
            (given,) = self.made[place].given
            place, alone = self.made[place].sources[0], alone and given.alone
        if place == INPUT:
            raise ValueError(f"{step.label} is a ReLU before any Linear or Conv2d; it must follow one")
        operation = self.made[place].operation
        if isinstance(operation, _Layer | _Average | _Sum) and (alone or operation.relu):
            operation.relu = True
            return _Value(value.made_by, None, value.width, value.images, value.alone)
        always = ClampStep(label=step.label, sources=step.sources, place=step.place, low=0.0, high=math.inf)
        return self.of_each(always, value)

    def of_each(self, step: ClampStep | ActivationStep, value: _Value) -> _Value:
        self._place_waiting(value)
        if value.made_by == INPUT:
            raise ValueError(f"{step.label} is an activation before any Linear or Conv2d; it must follow one")
        if not self._views_images(value):
            return self._make(step, value, width=value.width, images=value.images)
        # It computes on the images, whatever shape they are seen in.
        before = self.made[value.made_by].result
        made = self._make(step, value, width=before.width, images=True)
        made.shape = before.shape
        return _Value(made.made_by, None, value.width, False)

    def sum(self, step: AddStep, given: list[_Value]) -> _Value:
        images = self._same_kind(step, given)
        for one in given:
            self._place_waiting(one)
        widths = [one.width for one in given if one.width is not None]
        if len(set(widths)) > 1:
            what = "channels" if images else "values"
            raise ValueError(f"{step.label} adds {widths[0]} {what} and {widths[1]}; supported: as many of both")
        return self._make(_Sum(), *given, width=widths[0] if widths else None, images=images)

    def product(self, step: MultiplyStep, given: list[_Value]) -> _Value:
        images: bool | None = True
        if step.gate:
            # The factors may be flat values, which forward() takes for images of 1 x 1.
            what = "product of images and a factor for each channel"
            given[0] = self._as_images(step.label, what, given[0])
            if self._views_images(given[1]):
                given[1] = self._as_images(step.label, what, given[1])
        else:
            images = self._same_kind(step, given)
        one, other = given
        for value in given:
            self._place_waiting(value)
        if one.width is not None and other.width is not None and one.width != other.width:
            what = "channels" if images else "values"
            raise ValueError(f"{step.label} multiplies {one.width} {what} by {other.width}; supported: as many of both")
        return self._make(step, one, other, width=one.width or other.width, images=images)

    def concat(self, step: ConcatStep, given: list[_Value]) -> _Value:
        images = self._same_kind(step, given)
        for one in given:
            self._place_waiting(one)
        widths = [one.width for one in given]
        known = None if None in widths else sum(width for width in widths if width is not None)
        return self._make(step, *given, width=known, images=images)

    def flatten(self, step: FlattenStep, value: _Value) -> _Value:
        # Height and width are not known here; what comes next is checked with the data.
        width = None if value.images and not self._globally_pooled(value) else value.width
        if step.width is not None:
            if width is not None and step.width != width:
                raise ValueError(f"{step.label} takes {step.width} values, but the step before it gives {width}")
            width = step.width
        return _Value(value.made_by, value.waiting, width, False, value.alone)

    def move(self, step: MoveStep, value: _Value) -> _Value:
        self._place_waiting(value)
        if value.images is None:
            self._set_images(value, len(step.before) == 3)
        # Moves one after another are one, as far as it is regular.
        given, move = value, step.move
        while given.made_by != INPUT:
            made = self.made[given.made_by]
            joined: Move | None = move
            if isinstance(made.operation, Move):
                joined = move_to(made.operation.places()[move.places()])
            elif not isinstance(made.operation, _ImageShape):
                break
            if joined is None:
                break
            (given,), move = made.given, joined
        count = math.prod(given.shape or step.before)
        if move.keeps(count):
            return _Value(given.made_by, None, None, False, given.alone and value.alone)
        return self._make(move, given, width=None, images=False)

    def token(self, operation: TokenOperation, given: list[_Value]) -> _Value:
        for value in given:
            self._place_waiting(value)
            if value.images is None:
                self._set_images(value, value.shape is not None and len(value.shape) == 3)
        if isinstance(operation, Scaling) and len(operation.scale) == 1 and not operation.shift.any():
            (value,) = given
            made = None if value.made_by == INPUT else self.made[value.made_by]
            if made is not None and value.alone and isinstance(made.operation, MatrixProduct) and operation.scale[0]:
                # A product has a scale of its own.
                factor = made.operation.scale * float(operation.scale[0])
                made.operation = dataclasses.replace(made.operation, scale=factor)
                return _Value(value.made_by, None, None, False)
        return self._make(operation, *given, width=None, images=False)

    def end_in_softmax(self, step: SoftmaxStep, value: _Value) -> _Value:
        positions = 1 if self._globally_pooled(value) and value.images else step.positions
        if step.dim not in ((1, -3, None) if value.images else (1, -1, None)):
            raise ValueError(
                f"{step.label} is a {step.kind} over dimension {step.dim}; supported: 1, that of the classes"
            )
        if value.images and positions != 1:
            raise ValueError(
                f"{step.label} is a {step.kind} on images; supported: on (samples, classes): flatten, or average over "
                "height and width, before it"
            )
        self.softmax = step
        return value

    def result(self) -> Folded:
        last = self.values[-1] if self.values else self.input
        self._place_waiting(last)
        if last.waiting is None and not any(isinstance(made.operation, _Layer | RecurrentStep) for made in self.made):
            raise ValueError("the network has no Linear or Conv2d; it must have at least one")
        end = last.made_by
        while isinstance(self.made[end].operation, _ImageShape):
            (end,) = self.made[end].sources
        used = self._read_by(end)
        operations: list[Operation] = []
        layers: list[nn.Module] = []
        for number in used:
            made = self.made[number]
            # Numbers among those that are used; the input stands before them.
            back = tuple(
                len(operations) - (INPUT if source == INPUT else used.index(source)) for source in made.sources
            )
            operation, layer = _finished(made, back)
            operations.append(operation)
            layers.append(layer)
        return Folded(operations, layers)

    def _read_by(self, end: int) -> list[int]:
        """The numbers of the operations on which operation `end` depends, in order, with itself: moves that were joined
        with others are read by nothing."""
        used = {end}
        for number in range(end, -1, -1):
            if number in used:
                used |= set(self.made[number].sources) - {INPUT}
        return sorted(used)

    def _make(self, operation: Any, *given: _Value, width: int | None, images: bool | None) -> _Value:
        """Adds an operation, and returns its result."""
        made = _Made(operation, given)
        made.result = _Value(len(self.made), None, width, images)
        self.made.append(made)
        return made.result

    def _same_kind(self, step: NetworkStep, given: list[_Value]) -> bool | None:
        """Whether values that meet are images; None where that is not known."""
        kinds = {value.images for value in given} - {None}
        if len(kinds) > 1 and all(value.shape is not None and len(value.shape) == 3 for value in given):
            given[:] = [self._as_images(step.label, "image", value) for value in given]
            return True
        if len(kinds) > 1:
            raise ValueError(f"{step.label} joins images and flat values; flatten the images before it")
        for kind in kinds:
            for value in given:
                self._set_images(value, bool(kind))
            return kind
        return None

    def _set_images(self, value: _Value, images: bool) -> None:
        """Settles whether a value, and so what it was joined from, are images."""
        if value.images is not None:
            return
        value.images = images
        if value.made_by != INPUT and value is self.made[value.made_by].result:
            for one in self.made[value.made_by].given:
                self._set_images(one, images)

    def _globally_pooled(self, value: _Value) -> bool:
        last = None if value.made_by == INPUT else self.made[value.made_by].operation
        return isinstance(last, _Average) and last.step.kernel is None

    def _open_layer(self, value: _Value, *, images: bool) -> _Layer | None:
        """The layer right before this step, which alone reads it: a Conv2d where `images`, else a Linear."""
        place, alone = value.made_by, value.alone
        while place != INPUT:
            operation = self.made[place].operation
            if not (isinstance(operation, _Average) and operation.linear):
                break
            (given,) = self.made[place].given
            place, alone = self.made[place].sources[0], alone and given.alone
        if place == INPUT or not alone:
            return None
        if isinstance(operation, _Layer) and not operation.relu and (operation.window is not None) == images:
            # After a Flatten the values of a convolution have no channels any more.
            return operation if bool(value.images) == images else None
        return None

    def _spread(self, waiting: _Affine, label: str, width: int) -> _Affine:
        """The map that waits, on the values to which its channels may have been flattened."""
        if width % len(waiting.scale):
            raise ValueError(
                f"{label} takes {width} values, but the step before it gives {len(waiting.scale)} channels"
            )
        return waiting.spread(width)

    def _place_waiting(self, value: _Value) -> None:
        """Makes the map that waits a layer of its own: a convolution of each channel, or a diagonal matrix."""
        if value.waiting is None:
            return
        waiting, value.waiting = value.waiting, None
        if value.images or value.width is None:
            # Also where the channels are flattened after it, to a number of values that is not known.
            count = len(waiting.scale)
            window = _Window(channels=count, groups=count)
            weight = waiting.scale.reshape(-1, 1, 1, 1)
            layer = _Layer(waiting.label, weight, waiting.shift, window)
        else:
            waiting = self._spread(waiting, waiting.label, value.width)
            layer = _Layer(waiting.label, torch.diag(waiting.scale), waiting.shift)
        before = _Value(value.made_by, None, value.width, value.images, value.alone)
        value.made_by = self._make(layer, before, width=value.width, images=value.images).made_by

    def _as_images(self, label: str, kind: str, value: _Value) -> _Value:
        """A value as images."""
        if value.images is not False:
            self._set_images(value, True)
            return value
        if value.shape is None or len(value.shape) != 3:
            raise ValueError(f"{label} is a {kind}, but the step before it gives flat values")
        channels, high, wide = value.shape
        self._place_waiting(value)
        if value.made_by != INPUT:
            before = self.made[value.made_by].result
            if before.images and before.shape == value.shape:
                return _Value(value.made_by, None, channels, True, value.alone, value.shape)
        made = self._make(_ImageShape((channels, high, wide)), value, width=channels, images=True)
        made.alone, made.shape = value.alone, value.shape
        return made

    def _views_images(self, value: _Value) -> bool:
        """Whether a flat value is that of larger images, in another shape or flattened."""
        if value.images is not False or value.made_by == INPUT:
            return False
        before = self.made[value.made_by].result
        return bool(before.images) and before.shape is not None and before.shape[1:] != (1, 1)

    def _require_width(self, label: str, value: _Value, width: int) -> None:
        if value.width is not None and width != value.width:
            raise ValueError(f"{label} takes {width} values, but the step before it gives {value.width}")
        value.width = width


def _finished(made: _Made, back: tuple[int, ...]) -> tuple[Operation, nn.Module]:
    """An operation, and the module that computes it."""
    operation: Operation
    match made.operation:
        case _Layer() as layer:
            module = layer.module()
            if layer.window is None:
                inputs, outputs = layer.weight.shape[1], layer.weight.shape[0]
                return Linear(inputs=inputs, outputs=outputs, relu=layer.relu, rows=layer.rows, back=back), module
            window = layer.window
            operation = Convolution(
                channels=window.channels,
                outputs=len(layer.weight),
                kernel=(window.kernel[0], window.kernel[1]),
                stride=(window.stride[0], window.stride[1]),
                padding=window.padding,
                groups=window.groups,
                dilation=(window.dilation[0], window.dilation[1]),
                relu=layer.relu,
                back=back,
            )
            return operation, module
        case MaxPoolStep() as pool:
            operation = MaxPooling(
                kernel=pool.kernel,
                stride=pool.stride,
                padding=pool.padding,
                dilation=pool.dilation,
                ceil=pool.ceil,
                back=back,
            )
        case _Average(step=step, relu=relu):
            stride, padding = step.stride, step.padding
            operation = AveragePooling(kernel=step.kernel, stride=stride, padding=padding, relu=relu, back=back)
        case _Sum(relu=relu):
            operation = Addition(images=bool(made.result.images), relu=relu, back=back)
        case MultiplyStep():
            operation = Multiplication(images=bool(made.result.images), back=back)
        case ConcatStep():
            operation = Concatenation(images=bool(made.result.images), back=back)
        case ClampStep(low=low, high=high):
            operation = Clamping(low=low, high=high, back=back)
        case ActivationStep(function=function, argument=argument):
            operation = Activation(function=function, argument=argument, back=back)
        case Normalization() | Softmaxing() | MatrixProduct() | Scaling() | Embedding() | Constant() as token:
            operation = dataclasses.replace(token, back=back)
        case RecurrentStep(module=recurrent, steps=steps):
            hidden, sums = recurrent.in_features, recurrent.out_features
            operation = Recurrence(inputs=hidden, outputs=sums, relu=False, rows=steps, cell=recurrent.cell, back=back)
            return operation, recurrent
        case SpreadStep(apart=apart, tail=tail):
            operation = Spreading(apart=apart, tail=tail, back=back)
        case Move() as move:
            operation = Rearrangement(move=move, back=back)
        case _ImageShape(shape=shape):
            operation = Imaging(shape=shape, back=back)
    return operation, operation.module()


def _finite(label: str, name: str, value: Tensor) -> Tensor:
    if not torch.isfinite(value).all():
        raise ValueError(f"{label} has a {name} that is not finite (NaN or infinity)")
    return value.detach().to("cpu", torch.float64)
