"""Layers of torch that read one value."""

from __future__ import annotations

import math

from torch import fx, nn

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.kinds import is_plain, torch_class
from zeroskip.model.network.pooling import Pair
from zeroskip.model.network.reading.activations import ACTIVATIONS, activation, clamp, softmax_at_end
from zeroskip.model.network.reading.poolings import adaptive, average_pool, max_pool, window_pair
from zeroskip.model.network.reading.quiet import DROPOUT_LAYERS
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.reading.reshapes import reshape
from zeroskip.model.network.reading.supported import SUPPORTED
from zeroskip.model.network.steps import (
    AveragePoolStep,
    BatchNormStep,
    ConvStep,
    LinearStep,
    MaxPoolStep,
    NetworkStep,
    ReluStep,
)
from zeroskip.model.network.trace import SIZES


def layer_step(reading: Reading, node: fx.Node) -> NetworkStep | None:
    module, label = reading.module.get_submodule(str(node.target)), label_of(node)
    if len(node.args) != 1 or node.kwargs:
        raise ValueError(f"{label} is called with more than the step before it; supported: layers of one input")
    if is_plain(module, nn.Linear):
        shape = reading.shape(reading.current)
        rows = 1 if shape is None else math.prod(shape[:-1]) // SIZES[1]
        return LinearStep(**reading.about(node), module=module, rows=rows)
    if is_plain(module, nn.Conv1d) or is_plain(module, nn.Conv2d):
        return conv_step(reading, node, module)
    if is_plain(module, nn.MaxPool1d, nn.MaxPool2d):
        fields = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        return max_pool(
            reading, node, *(getattr(module, field) for field in fields), line=is_plain(module, nn.MaxPool1d)
        )
    if is_plain(module, nn.AvgPool1d, nn.AvgPool2d):
        line = is_plain(module, nn.AvgPool1d)
        sizes = (module.kernel_size, module.stride, module.padding, module.ceil_mode, module.count_include_pad)
        return average_pool(reading, node, *sizes, None if line else module.divisor_override, line=line)
    if is_plain(module, nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d):
        line = is_plain(module, nn.AdaptiveAvgPool1d)
        return adaptive(reading, node, module.output_size, AveragePoolStep, line=line)
    if is_plain(module, nn.AdaptiveMaxPool1d, nn.AdaptiveMaxPool2d):
        if module.return_indices:
            raise ValueError(f"{label} returns indices; supported: max pooling that returns values alone")
        line = is_plain(module, nn.AdaptiveMaxPool1d)
        return adaptive(reading, node, module.output_size, MaxPoolStep, line=line)
    if isinstance(module, nn.BatchNorm1d | nn.BatchNorm2d) and torch_class(module) is not None:
        flat = isinstance(module, nn.BatchNorm1d)
        line = flat and len(reading.shape(reading.current) or ()) == 3
        if not line:
            reading.require_dimensions(node, f"a {type(module).__name__}", 2 if flat else 4)
        _require_eval(label, module)
        if module.running_mean is None or module.running_var is None:
            raise ValueError(
                f"{label} has no running statistics, so it has no fixed function in eval mode; supported: "
                "track_running_stats=True"
            )
        return BatchNormStep(**reading.about(node, images=line), module=module, images=line or not flat)
    if is_plain(module, nn.ReLU):
        return ReluStep(**reading.about(node))
    if is_plain(module, nn.Hardtanh):
        return clamp(reading, node, module.min_val, module.max_val)
    if is_plain(module, nn.ReLU6):
        return clamp(reading, node, 0, 6)
    for kind, function in ACTIVATIONS.items():
        if is_plain(module, kind):
            return activation(reading, node, function, module)
    if is_plain(module, nn.Flatten, nn.Unflatten):
        return reshape(reading, node)
    if is_plain(module, nn.Identity):
        return None
    if is_plain(module, *DROPOUT_LAYERS):
        _require_eval(label, module)
        return None
    if is_plain(module, nn.Softmax, nn.LogSoftmax):
        return softmax_at_end(reading, node, "softmax" if is_plain(module, nn.Softmax) else "log_softmax", module.dim)
    if is_plain(module, nn.Softmax2d):
        return softmax_at_end(reading, node, "softmax", -3)
    raise ValueError(f"{label} is a {type(module).__name__}; supported: {SUPPORTED}")


def conv_step(reading: Reading, node: fx.Node, module: nn.Conv1d | nn.Conv2d) -> ConvStep:
    """The step of a node that computes what a convolution computes."""
    label, line = label_of(node), isinstance(module, nn.Conv1d)
    reading.require_dimensions(node, f"a {type(module).__name__}", 3 if line else 4)
    dilation = window_pair(module.dilation, line=line, still=1)
    if dilation is None:
        raise ValueError(f"{label} has the dilation {module.dilation}; supported: two numbers")
    padding = _conv_padding(label, module, dilation)
    return ConvStep(**reading.about(node, images=True), module=module, padding=padding, dilation=dilation)


def _require_eval(label: str, module: nn.Module) -> None:
    """Raises ValueError for a layer that train(False) leaves in train mode, in which it gives something else."""
    if module.training:
        raise ValueError(
            f"{label} is a {type(module).__name__} that stays in train mode; no module above it may override train()"
        )


def _conv_padding(label: str, module: nn.Conv1d | nn.Conv2d, dilation: Pair) -> Pair:
    # The attribute kernel_size may have been changed since: torch computes with the weight.
    high, wide = (1, *module.weight.shape[2:])[-2:]
    same = dilation[0] * (high // 2), dilation[1] * (wide // 2)
    given = window_pair(module.padding, line=isinstance(module, nn.Conv1d), still=0)
    padding = {"valid": (0, 0), "same": same}.get(str(module.padding)) or given
    if padding is None or (padding != (0, 0) and module.padding_mode != "zeros"):
        raise ValueError(
            f"{label} pads by {module.padding_mode!r}; supported: zeros (set padding_mode='zeros' and train again)"
        )
    if module.padding == "same" and (high % 2 == 0 or wide % 2 == 0):
        raise ValueError(
            f"{label} pads a kernel of {high} x {wide} to the 'same' size, more on one side than on the other; "
            "supported: odd kernels, and padding given in numbers"
        )
    return padding
