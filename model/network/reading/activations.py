"""Activations, limits, and the softmax at the end of a network."""

from __future__ import annotations

import math

import torch
from torch import fx, nn
from torch.nn import functional as F

from zeroskip.model.network.calls import argument, arguments, label_of
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.steps import ActivationStep, ClampStep, NetworkStep, ReluStep, SoftmaxStep

ACTIVATIONS: dict[type[nn.Module], str] = {
    nn.LeakyReLU: "leaky_relu",
    nn.Sigmoid: "sigmoid",
    nn.Tanh: "tanh",
    nn.SiLU: "silu",
    nn.GELU: "gelu",
    nn.ELU: "elu",
    nn.Softplus: "softplus",
    nn.Mish: "mish",
    nn.SELU: "selu",
    nn.Hardswish: "hardswish",
    nn.Hardsigmoid: "hardsigmoid",
}


FUNCTIONS: dict[object, str] = {
    F.leaky_relu: "leaky_relu",
    F.sigmoid: "sigmoid",
    torch.sigmoid: "sigmoid",
    "sigmoid": "sigmoid",
    F.tanh: "tanh",
    torch.tanh: "tanh",
    "tanh": "tanh",
    F.silu: "silu",
    F.gelu: "gelu",
    F.elu: "elu",
    F.softplus: "softplus",
    F.mish: "mish",
    F.selu: "selu",
    F.hardswish: "hardswish",
    F.hardsigmoid: "hardsigmoid",
}


SOFTMAXES: dict[object, str] = {
    F.softmax: "softmax",
    torch.softmax: "softmax",
    "softmax": "softmax",
    F.log_softmax: "log_softmax",
    torch.log_softmax: "log_softmax",
    "log_softmax": "log_softmax",
}


def clamp(reading: Reading, node: fx.Node, low: object, high: object) -> NetworkStep:
    limits = [-math.inf if low is None else low, math.inf if high is None else high]
    if not all(isinstance(limit, int | float) for limit in limits) or not limits[0] < limits[1]:  # type: ignore[operator]
        raise ValueError(f"{label_of(node)} has the limits {low} and {high}; supported: two numbers in order")
    below, above = (float(limit) for limit in limits)  # type: ignore[arg-type]
    if (below, above) == (0, math.inf):
        return ReluStep(**reading.about(node))
    return ClampStep(**reading.about(node), low=below, high=above)


def activation(reading: Reading, node: fx.Node, function: str, module: nn.Module | None = None) -> ActivationStep:
    """`module` is that of a layer, whose fields are the arguments."""
    parameter: object = 0.0
    if function == "leaky_relu":
        parameter = argument(node, 1, "negative_slope", 0.01) if module is None else module.negative_slope
        if not isinstance(parameter, int | float) or not math.isfinite(parameter):
            raise ValueError(f"{label_of(node)} has the slope {parameter}; supported: a finite number")
    if function == "elu":
        parameter = argument(node, 1, "alpha", 1.0) if module is None else module.alpha
        if not isinstance(parameter, int | float) or not math.isfinite(parameter):
            raise ValueError(f"{label_of(node)} has alpha = {parameter}; supported: a finite number")
    if function == "softplus":
        given = arguments(node, ("beta", "threshold"), (1, 20)) if module is None else [module.beta, module.threshold]
        if given != [1, 20]:
            raise ValueError(f"{label_of(node)} has beta and threshold {given}; supported: 1 and 20")
    if function == "gelu":
        approximate = node.kwargs.get("approximate", "none") if module is None else module.approximate
        function = {"none": "gelu", "tanh": "gelu_tanh"}[str(approximate)]
    assert isinstance(parameter, int | float)
    return ActivationStep(**reading.about(node), function=function, argument=float(parameter))


def softmax_at_end(reading: Reading, node: fx.Node, kind: str, dim: object) -> SoftmaxStep:
    shape = reading.shape(reading.current)
    positions = None if shape is None else math.prod(shape[2:])
    assert dim is None or isinstance(dim, int)
    if shape is not None and dim is not None and len(shape) == 3 and dim % 3 == 2:
        # Of tokens, each with its classes.
        dim = -1
    elif shape is not None and dim is not None and dim % len(shape) != 1:
        raise ValueError(f"{label_of(node)} is a {kind} over dimension {dim}; supported: 1, that of the classes")
    return SoftmaxStep(**reading.about(node), kind=kind, dim=dim, positions=positions)
