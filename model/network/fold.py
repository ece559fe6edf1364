"""Brings a torch network into the form that the hardware runs: Conv2d and Linear, each with or without ReLU."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from zeroskip.model.network.chain import as_inputs_of, chain
from zeroskip.model.network.same import require_same
from zeroskip.model.network.steps import (
    AveragePoolStep,
    BatchNormStep,
    ChainStep,
    ConvStep,
    FlattenStep,
    LinearStep,
    MaxPoolStep,
    ReluStep,
    SoftmaxStep,
)
from zeroskip.model.network.trace import Untraceable, WrongShape
from zeroskip.model.network.wrappers import unwrapped

Samples = Tensor | NDArray[Any]
"""Inputs of a network (n, ...)."""


def fold(module: nn.Module, samples: Samples | None = None) -> nn.Sequential:
    """A sequence, float32, that computes what `module` computes in eval mode.

    Without convolutions it consists of nn.Linear and nn.ReLU, and takes inputs of shape (n, features), flattened. With
    convolutions it takes inputs (n, channels, height, width) and consists of nn.Conv2d, nn.ReLU, nn.MaxPool2d,
    nn.AvgPool2d and nn.AdaptiveAvgPool2d(1), then nn.Flatten, then nn.Linear and nn.ReLU. A ReLU is moved before max
    pooling, with the same result. Average pooling is kept: it can only be made a convolution where the size of
    the images is known (zeroskip.model.network.lower).

    A BatchNorm after a Linear or Conv2d is folded back into it; another one is folded forward into the Linear or Conv2d
    after it, or becomes a layer of its own where that is not possible: before a ReLU, a max pooling, a convolution
    that pads by zeros, and at the end. A layer gets a bias only where it had one or folding needs one. A softmax or
    log_softmax at the end is left out (`fold_and_softmax` names it). `module` is not changed.

    With `samples`, inputs of the network, its forward() may look at shapes, and the result is compared with what torch
    gives for a few of them.

    Raises ValueError naming the layer or operation that cannot be brought into this form, or where the result differs.
    """
    return _folded(module, samples)[0]


def fold_and_softmax(module: nn.Module, samples: Samples | None = None) -> tuple[nn.Sequential, str | None]:
    """What `fold` returns, and the name of the softmax or log_softmax at the end of the network, which it leaves out as
    it does not change the class; None where there is none. Raises ValueError as `fold` does."""
    folded, softmax = _folded(module, samples)
    return folded, None if softmax is None else f"{softmax.kind} ({softmax.label})"


def _folded(module: nn.Module, samples: Samples | None) -> tuple[nn.Sequential, SoftmaxStep | None]:
    module = unwrapped(module)
    if samples is None:
        folding = _fold(chain(module))
        return folding.result(), folding.softmax
    given = as_inputs_of(module, torch.as_tensor(samples))
    try:
        folding = _fold(chain(module, given))
    except WrongShape as wrong:
        try:
            folded, softmax = _folded(module, None)
        except Untraceable:
            # It decides by shapes.
            raise wrong from None
        except ValueError as error:
            # Perhaps no shape would help.
            raise WrongShape(f"{error}; and {wrong}") from None
        if isinstance(folded[0], nn.Linear) and given.dim() > 2 and given[0].numel() == folded[0].in_features:
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
def _runs(folded: nn.Sequential, samples: Tensor) -> bool:
    """Whether a folded network takes samples (n, ...) of this shape."""
    given = samples[:1].float()
    try:
        folded(given.flatten(1) if isinstance(folded[0], nn.Linear) else given)
    except RuntimeError:
        return False
    return True


def _fold(steps: Sequence[ChainStep]) -> _Folding:
    folding = _Folding()
    for step in steps:
        try:
            folding.add(step)
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


@dataclass
class _Layer:
    """A Linear or Conv2d in the making: weight (outputs, ...) and bias (outputs,) in float64."""

    label: str
    weight: Tensor
    bias: Tensor | None
    window: _Window | None = None
    relu: bool = False

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

    def module(self) -> nn.Module:
        step = self.step
        return nn.AdaptiveAvgPool2d(1) if step.kernel is None else nn.AvgPool2d(step.kernel, step.stride, step.padding)


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


class _Folding:
    """The layers and poolings made so far, the affine map that waits for the next one, and the width where it is
    known: features, or channels where `images`. `images` is None while that is unknown. `softmax` is the last step of a
    network that ends in one."""

    def __init__(self) -> None:
        self.operations: list[_Layer | _Average | MaxPoolStep] = []
        self.waiting: _Affine | None = None
        self.width: int | None = None
        self.images: bool | None = None
        self.softmax: SoftmaxStep | None = None

    @property
    def layers(self) -> list[_Layer]:
        return [operation for operation in self.operations if isinstance(operation, _Layer)]

    def add(self, step: ChainStep) -> None:
        """Adds a step. Raises ValueError where it cannot stand here."""
        if self.softmax is not None and not isinstance(step, FlattenStep):
            raise self.softmax.error(
                f"{self.softmax.label} is a {self.softmax.kind} before {step.label}; supported: at the end, where it "
                "does not change the class; take it out of the network, and train it again"
            )
        match step:
            case LinearStep():
                self.linear(step)
            case ConvStep():
                self.conv(step)
            case MaxPoolStep():
                self.max_pool(step)
            case AveragePoolStep():
                self.average_pool(step)
            case BatchNormStep():
                self.batch_norm(step)
            case ReluStep():
                self.relu(step)
            case FlattenStep():
                self.flatten(step)
            case SoftmaxStep():
                self.end_in_softmax(step)

    def linear(self, step: LinearStep) -> None:
        if self.images:
            raise ValueError(f"{step.label} is a Linear on images; flatten them before it")
        self.images = False
        weight = _finite(step.label, "weight", step.module.weight)
        bias = None if step.module.bias is None else _finite(step.label, "bias", step.module.bias)
        self._require_width(step.label, weight.shape[1])
        if self.waiting is not None:
            # W (scale x + shift) + b
            waiting, self.waiting = self._spread(self.waiting, step.label, weight.shape[1]), None
            carried = weight @ waiting.shift
            bias = carried if bias is None else bias + carried
            weight = weight * waiting.scale
        self.operations.append(_Layer(step.label, weight, bias))
        self.width = weight.shape[0]

    def conv(self, step: ConvStep) -> None:
        conv = step.module
        if step.padding != (0, 0) and self.waiting is not None and self.waiting.shift.any():
            # The zeros of the padding come after the batch normalisation.
            self._place_waiting()
        self._require_images(step.label, "Conv2d")
        self._require_width(step.label, conv.in_channels)
        weight = _finite(step.label, "weight", conv.weight)
        bias = None if conv.bias is None else _finite(step.label, "bias", conv.bias)
        if self.waiting is not None:
            # The inputs of each output, (outputs, inputs of a group).
            seen = torch.arange(conv.in_channels).reshape(conv.groups, -1)
            seen = seen.repeat_interleave(conv.out_channels // conv.groups, 0)
            carried = (weight.sum((2, 3)) * self.waiting.shift[seen]).sum(1)
            bias = carried if bias is None else bias + carried
            weight = weight * self.waiting.scale[seen][:, :, None, None]
            self.waiting = None
        window = _Window(
            channels=conv.in_channels,
            kernel=tuple(weight.shape[2:]),
            stride=conv.stride,
            padding=step.padding,
            groups=conv.groups,
        )
        self.operations.append(_Layer(step.label, weight, bias, window))
        self.width = len(weight)

    def max_pool(self, step: MaxPoolStep) -> None:
        self._require_images(step.label, "MaxPool2d")
        self._place_waiting()
        self.operations.append(step)

    def average_pool(self, step: AveragePoolStep) -> None:
        self._require_images(step.label, "pooling")
        if step.padding != (0, 0):
            self._place_waiting()
        self.operations.append(_Average(step))

    def batch_norm(self, step: BatchNormStep) -> None:
        norm = step.module
        self._require_width(step.label, norm.num_features)
        if isinstance(norm, nn.BatchNorm2d):
            self._require_images(step.label, "BatchNorm2d")
        elif self.images:
            raise ValueError(f"{step.label} is a BatchNorm1d on images; flatten them before it")
        else:
            self.images = False
        layer = self._open_layer(images=isinstance(norm, nn.BatchNorm2d))
        self.width = norm.num_features
        mean, variance = (_finite(step.label, name, getattr(norm, name)) for name in ("running_mean", "running_var"))
        scale, shift = 1 / torch.sqrt(variance + norm.eps), torch.zeros_like(mean)
        if norm.weight is not None:
            scale = scale * _finite(step.label, "weight", norm.weight)
        if norm.bias is not None:
            shift = _finite(step.label, "bias", norm.bias)
        shift = shift - mean * scale
        if self.waiting is not None:
            waiting = self._spread(self.waiting, step.label, norm.num_features)
            self.waiting = _Affine(step.label, waiting.scale * scale, waiting.shift * scale + shift)
        elif layer is not None:
            layer.weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
            layer.bias = shift if layer.bias is None else layer.bias * scale + shift
        else:
            self.waiting = _Affine(step.label, scale, shift)

    def relu(self, step: ReluStep) -> None:
        self._place_waiting()
        computing = [operation for operation in self.operations if isinstance(operation, _Layer | _Average)]
        if not computing:
            raise ValueError(f"{step.label} is a ReLU before any Linear or Conv2d; it must follow one")
        # Also if a max pooling is in between: ReLU before or after it gives the same maximum.
        computing[-1].relu = True

    def flatten(self, step: FlattenStep) -> None:
        if self.images and not self._globally_pooled:
            # Height and width are not known here; what comes next is checked with the data.
            self.width = None
        self.images = False
        if step.width is not None:
            self._require_width(step.label, step.width)
            self.width = step.width

    def end_in_softmax(self, step: SoftmaxStep) -> None:
        positions = 1 if self._globally_pooled and self.images else step.positions
        if step.dim not in ((1, -3, None) if self.images else (1, -1, None)):
            raise ValueError(
                f"{step.label} is a {step.kind} over dimension {step.dim}; supported: 1, that of the classes"
            )
        if self.images and positions != 1:
            raise ValueError(
                f"{step.label} is a {step.kind} on images; supported: on (samples, classes): flatten, or average over "
                "height and width, before it"
            )
        self.softmax = step

    def result(self) -> nn.Sequential:
        if not self.layers and self.waiting is None:
            raise ValueError("the network has no Linear or Conv2d; it must have at least one")
        self._place_waiting()
        modules: list[nn.Module] = []
        images = False
        for operation in self.operations:
            if isinstance(operation, MaxPoolStep):
                modules.append(nn.MaxPool2d(operation.kernel, operation.stride, operation.padding))
                images = True
                continue
            flat = isinstance(operation, _Layer) and operation.window is None
            if images and flat:
                modules.append(nn.Flatten())
            images = not flat
            modules.append(operation.module())
            if operation.relu:
                modules.append(nn.ReLU())
        if images:
            modules.append(nn.Flatten())
        return nn.Sequential(*modules)

    @property
    def _globally_pooled(self) -> bool:
        last = self.operations[-1] if self.operations else None
        return isinstance(last, _Average) and last.step.kernel is None

    def _open_layer(self, *, images: bool) -> _Layer | None:
        """The layer right before this step: a Conv2d where `images`, else a Linear."""
        last = next(
            (
                operation
                for operation in reversed(self.operations)
                if not (isinstance(operation, _Average) and operation.linear)
            ),
            None,
        )
        if isinstance(last, _Layer) and not last.relu and (last.window is not None) == images:
            # After a Flatten the values of a convolution have no channels any more.
            return last if bool(self.images) == images else None
        return None

    def _spread(self, waiting: _Affine, label: str, width: int) -> _Affine:
        """The map that waits, on the values to which its channels may have been flattened."""
        if width % len(waiting.scale):
            raise ValueError(
                f"{label} takes {width} values, but the step before it gives {len(waiting.scale)} channels"
            )
        return waiting.spread(width)

    def _place_waiting(self) -> None:
        """Makes the map that waits a layer of its own: a convolution of each channel, or a diagonal matrix."""
        if self.waiting is None:
            return
        waiting, self.waiting = self.waiting, None
        if self.images or self.width is None:
            # Also where the channels are flattened after it, to a number of values that is not known.
            count = len(waiting.scale)
            window = _Window(channels=count, groups=count)
            weight = waiting.scale.reshape(-1, 1, 1, 1)
            self.operations.append(_Layer(waiting.label, weight, waiting.shift, window))
            return
        waiting = self._spread(waiting, waiting.label, self.width)
        self.operations.append(_Layer(waiting.label, torch.diag(waiting.scale), waiting.shift))

    def _require_images(self, label: str, kind: str) -> None:
        if self.images is False:
            raise ValueError(f"{label} is a {kind}, but the step before it gives flat values")
        self.images = True

    def _require_width(self, label: str, width: int) -> None:
        if self.width is not None and width != self.width:
            raise ValueError(f"{label} takes {width} values, but the step before it gives {self.width}")


def _finite(label: str, name: str, value: Tensor) -> Tensor:
    if not torch.isfinite(value).all():
        raise ValueError(f"{label} has a {name} that is not finite (NaN or infinity)")
    return value.detach().to("cpu", torch.float64)
