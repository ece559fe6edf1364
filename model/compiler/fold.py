"""Brings a torch network into the form that the hardware runs: Linear layers, each with or without ReLU."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from model.compiler.chain import BatchNormStep, FlattenStep, LinearStep, ReluStep, chain


def fold(module: nn.Module) -> nn.Sequential:
    """A sequence of nn.Linear and nn.ReLU alone, float32, that computes what `module` computes in eval mode.

    It takes inputs of shape (n, features), the flattened form of what `module` takes. A BatchNorm1d behind a
    Linear is folded back into it; one that stands before a Linear (on the inputs or behind a ReLU) is folded
    forward. A layer gets a bias only where it had one or folding needs one. `module` is left as it was.

    Raises ValueError naming the layer or operation that cannot be brought into this form.
    """
    folding = _Folding()
    for step in chain(module):
        match step:
            case LinearStep():
                folding.linear(step)
            case BatchNormStep():
                folding.batch_norm(step)
            case ReluStep():
                folding.relu(step)
            case FlattenStep():
                folding.flatten(step)
    return folding.result()


@dataclass
class _Layer:
    """A Linear in the making: weight (outputs, inputs) and bias (outputs,) in float64."""

    label: str
    weight: Tensor
    bias: Tensor | None
    relu: bool = False


@dataclass
class _Affine:
    """A BatchNorm that waits for a Linear behind it: `x * scale + shift`, both (features,) in float64."""

    label: str
    scale: Tensor
    shift: Tensor


class _Folding:
    """The layers made so far, the affine map that waits for the next one, and the width where it is known."""

    def __init__(self) -> None:
        self.layers: list[_Layer] = []
        self.waiting: _Affine | None = None
        self.width: int | None = None

    def linear(self, step: LinearStep) -> None:
        weight = _finite(step.label, "weight", step.module.weight)
        bias = None if step.module.bias is None else _finite(step.label, "bias", step.module.bias)
        self._require_width(step.label, weight.shape[1])
        if self.waiting is not None:
            # W (scale x + shift) + b
            carried = weight @ self.waiting.shift
            bias = carried if bias is None else bias + carried
            weight = weight * self.waiting.scale
            self.waiting = None
        self.layers.append(_Layer(step.label, weight, bias))
        self.width = weight.shape[0]

    def batch_norm(self, step: BatchNormStep) -> None:
        norm = step.module
        if norm.running_mean is None or norm.running_var is None:
            raise ValueError(f"{step.label} has no running statistics, so it has no fixed function in eval mode")
        self._require_width(step.label, norm.num_features)
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
        elif self.layers and not self.layers[-1].relu:
            layer = self.layers[-1]
            layer.weight = layer.weight * scale[:, None]
            layer.bias = shift if layer.bias is None else layer.bias * scale + shift
        else:
            self.waiting = _Affine(step.label, scale, shift)

    def relu(self, step: ReluStep) -> None:
        if not self.layers:
            raise ValueError(f"{step.label} is a ReLU before any Linear; it must stand behind one")
        self._require_none_waiting("a ReLU")
        self.layers[-1].relu = True

    def flatten(self, step: FlattenStep) -> None:
        if step.width is not None:
            self._require_width(step.label, step.width)
            self.width = step.width

    def result(self) -> nn.Sequential:
        if not self.layers:
            raise ValueError("the network has no Linear; it must have at least one")
        self._require_none_waiting("the end")
        modules: list[nn.Module] = []
        for layer in self.layers:
            outputs, inputs = layer.weight.shape
            linear = nn.utils.skip_init(nn.Linear, inputs, outputs, bias=layer.bias is not None)
            with torch.no_grad():
                linear.weight.copy_(layer.weight)
                if layer.bias is not None:
                    linear.bias.copy_(layer.bias)
            # Folding divides by standard deviations, and float32 ends at 3.4e38.
            for name, parameter in linear.named_parameters():
                _finite(layer.label, f"folded {name}", parameter)
            modules.append(linear)
            if layer.relu:
                modules.append(nn.ReLU())
        return nn.Sequential(*modules)

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
