"""Brings a torch network into the form that the hardware runs: Conv2d and Linear, each with or without ReLU."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from zeroskip.model.network.chain import (
    AveragePoolStep,
    BatchNormStep,
    ConvStep,
    FlattenStep,
    LinearStep,
    MaxPoolStep,
    ReluStep,
    chain,
)


def fold(module: nn.Module) -> nn.Sequential:
    """A sequence, float32, that computes what `module` computes in eval mode.

    Without convolutions it consists of nn.Linear and nn.ReLU, and takes inputs of shape (n, features), flattened. With
    convolutions it takes inputs (n, channels, height, width) and consists of nn.Conv2d, nn.ReLU, nn.MaxPool2d,
    nn.AvgPool2d and nn.AdaptiveAvgPool2d(1), then nn.Flatten, then nn.Linear and nn.ReLU. A ReLU is moved before max
    pooling, with the same result. Average pooling is kept: it can only be made a convolution where the size of
    the images is known (zeroskip.model.network.lower).

    A BatchNorm after a Linear or Conv2d is folded back into it; a BatchNorm1d before a Linear (on the inputs or after
    a ReLU) is folded forward. A layer gets a bias only where it had one or folding needs one. `module` is not changed.

    Raises ValueError naming the layer or operation that cannot be brought into this form.
    """
    folding = _Folding()
    for step in chain(module):
        match step:
            case LinearStep():
                folding.linear(step)
            case ConvStep():
                folding.conv(step)
            case MaxPoolStep():
                folding.max_pool(step)
            case AveragePoolStep():
                folding.average_pool(step)
            case BatchNormStep():
                folding.batch_norm(step)
            case ReluStep():
                folding.relu(step)
            case FlattenStep():
                folding.flatten(step)
    return folding.result()


@dataclass
class _Layer:
    """A Linear or Conv2d in the making: weight (outputs, ...) and bias (outputs,) in float64."""

    label: str
    weight: Tensor
    bias: Tensor | None
    conv: ConvStep | None = None
    relu: bool = False

    def module(self) -> nn.Linear | nn.Conv2d:
        outputs, inputs = self.weight.shape[:2]
        made: nn.Linear | nn.Conv2d
        if self.conv is None:
            made = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=self.bias is not None)
        else:
            conv = self.conv.module
            made = nn.utils.skip_init(
                nn.Conv2d,
                conv.in_channels,
                outputs,
                conv.kernel_size,
                stride=conv.stride,
                padding=self.conv.padding,
                groups=conv.groups,
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
    """A BatchNorm that waits for the Linear after it: `x * scale + shift`, both (features,) in float64."""

    label: str
    scale: Tensor
    shift: Tensor


class _Folding:
    """The layers and poolings made so far, the affine map that waits for the next one, and the width where it is
    known: features, or channels where `images`. `images` is None while that is unknown."""

    def __init__(self) -> None:
        self.operations: list[_Layer | _Average | MaxPoolStep] = []
        self.waiting: _Affine | None = None
        self.width: int | None = None
        self.images: bool | None = None

    @property
    def layers(self) -> list[_Layer]:
        return [operation for operation in self.operations if isinstance(operation, _Layer)]

    def linear(self, step: LinearStep) -> None:
        if self.images:
            raise ValueError(f"{step.label} is a Linear on images; flatten them before it")
        self.images = False
        weight = _finite(step.label, "weight", step.module.weight)
        bias = None if step.module.bias is None else _finite(step.label, "bias", step.module.bias)
        self._require_width(step.label, weight.shape[1])
        if self.waiting is not None:
            # W (scale x + shift) + b
            carried = weight @ self.waiting.shift
            bias = carried if bias is None else bias + carried
            weight = weight * self.waiting.scale
            self.waiting = None
        self.operations.append(_Layer(step.label, weight, bias))
        self.width = weight.shape[0]

    def conv(self, step: ConvStep) -> None:
        self._require_images(step.label, "Conv2d")
        self._require_width(step.label, step.module.in_channels)
        weight = _finite(step.label, "weight", step.module.weight)
        bias = None if step.module.bias is None else _finite(step.label, "bias", step.module.bias)
        self.operations.append(_Layer(step.label, weight, bias, step))
        self.width = len(weight)

    def max_pool(self, step: MaxPoolStep) -> None:
        self._require_images(step.label, "MaxPool2d")
        self.operations.append(step)

    def average_pool(self, step: AveragePoolStep) -> None:
        self._require_images(step.label, "pooling")
        self.operations.append(_Average(step))

    def batch_norm(self, step: BatchNormStep) -> None:
        norm = step.module
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError(f"{step.label} has no running statistics, so it has no fixed function in eval mode")
        self._require_width(step.label, norm.num_features)
        layer = self._open_layer(images=isinstance(norm, nn.BatchNorm2d))
        if isinstance(norm, nn.BatchNorm2d) and layer is None:
            raise ValueError(
                f"{step.label} is a BatchNorm2d that does not directly follow a Conv2d; "
                "it has none that it could be folded into"
            )
        if isinstance(norm, nn.BatchNorm1d) and self.images:
            raise ValueError(f"{step.label} is a BatchNorm1d on images; flatten them before it")
        self.width = norm.num_features
        mean, variance = (_finite(step.label, name, getattr(norm, name)) for name in ("running_mean", "running_var"))
        scale, shift = 1 / torch.sqrt(variance + norm.eps), torch.zeros_like(mean)
        if norm.affine:
            scale, shift = (
                scale * _finite(step.label, "weight", norm.weight),
                _finite(step.label, "bias", norm.bias),
            )
        shift = shift - mean * scale
        if self.waiting is not None:
            self.waiting = _Affine(step.label, self.waiting.scale * scale, self.waiting.shift * scale + shift)
        elif layer is not None:
            layer.weight = layer.weight * scale.reshape(-1, *[1] * (layer.weight.dim() - 1))
            layer.bias = shift if layer.bias is None else layer.bias * scale + shift
        else:
            self.waiting = _Affine(step.label, scale, shift)

    def relu(self, step: ReluStep) -> None:
        computing = [operation for operation in self.operations if isinstance(operation, _Layer | _Average)]
        if not computing:
            raise ValueError(f"{step.label} is a ReLU before any Linear or Conv2d; it must follow one")
        self._require_none_waiting("a ReLU")
        # Also if a max pooling is in between: ReLU before or after it gives the same maximum.
        computing[-1].relu = True

    def flatten(self, step: FlattenStep) -> None:
        globally_pooled = (
            isinstance(self.operations[-1], _Average) and self.operations[-1].step.kernel is None
            if self.operations
            else False
        )
        if self.images and not globally_pooled:
            # Height and width are not known here; what comes next is checked with the data.
            self.width = None
        self.images = False
        if step.width is not None:
            self._require_width(step.label, step.width)
            self.width = step.width

    def result(self) -> nn.Sequential:
        if not self.layers:
            raise ValueError("the network has no Linear or Conv2d; it must have at least one")
        self._require_none_waiting("the end")
        modules: list[nn.Module] = []
        images = False
        for operation in self.operations:
            if isinstance(operation, MaxPoolStep):
                modules.append(nn.MaxPool2d(operation.kernel, operation.stride, operation.padding))
                images = True
                continue
            flat = isinstance(operation, _Layer) and operation.conv is None
            if images and flat:
                modules.append(nn.Flatten())
            images = not flat
            modules.append(operation.module())
            if operation.relu:
                modules.append(nn.ReLU())
        if images:
            modules.append(nn.Flatten())
        return nn.Sequential(*modules)

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
        if isinstance(last, _Layer) and not last.relu and (last.conv is not None) == images:
            # After a Flatten the values of a convolution have no channels any more.
            return last if bool(self.images) == images else None
        return None

    def _require_images(self, label: str, kind: str) -> None:
        if self.images is False:
            raise ValueError(f"{label} is a {kind}, but the step before it gives flat values")
        self._require_none_waiting(f"a {kind}")
        self.images = True

    def _require_width(self, label: str, width: int) -> None:
        if self.width is not None and width != self.width:
            raise ValueError(f"{label} takes {width} values, but the step before it gives {self.width}")

    def _require_none_waiting(self, follower: str) -> None:
        if self.waiting is not None:
            raise ValueError(
                f"{self.waiting.label} is a BatchNorm1d between a ReLU and {follower}; "
                "it has no Linear that it could be folded into"
            )


def _finite(label: str, name: str, value: Tensor) -> Tensor:
    if not torch.isfinite(value).all():
        raise ValueError(f"{label} has a {name} that is not finite (NaN or infinity)")
    return value.detach().to("cpu", torch.float64)
