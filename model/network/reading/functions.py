"""Functions and methods of torch that read one value."""

from __future__ import annotations

import torch
from torch import fx
from torch.nn import functional as F

from zeroskip.model.network.calls import argument, arguments, label_of, target_name
from zeroskip.model.network.moving import is_reshape
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.reading.activations import FUNCTIONS, SOFTMAXES, activation, clamp, softmax_at_end
from zeroskip.model.network.reading.poolings import adaptive, average_pool, max_pool
from zeroskip.model.network.reading.quiet import COPIES, DROPOUTS
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.reading.reshapes import reshape
from zeroskip.model.network.reading.supported import SUPPORTED
from zeroskip.model.network.steps import AveragePoolStep, MaxPoolStep, NetworkStep, ReluStep


def function_step(reading: Reading, node: fx.Node) -> NetworkStep | None:
    if node.target in (F.relu, torch.relu, F.relu_, torch.relu_, "relu", "relu_"):
        return ReluStep(**reading.about(node))
    if node.target in (F.relu6, F.hardtanh, F.hardtanh_):
        limits = (0, 6) if node.target is F.relu6 else arguments(node, ("min_val", "max_val"), (-1.0, 1.0))
        return clamp(reading, node, *limits)
    if node.target in (torch.clamp, "clamp", torch.clip, "clip", "clamp_"):
        return clamp(reading, node, *arguments(node, ("min", "max"), (None, None)))
    if (function := FUNCTIONS.get(node.target)) is not None:
        return activation(reading, node, function)
    if is_reshape(node):
        return reshape(reading, node)
    if node.target in (F.max_pool1d, torch.max_pool1d, F.max_pool2d, torch.max_pool2d):
        names = ("kernel_size", "stride", "padding", "dilation", "ceil_mode", "return_indices")
        found = arguments(node, names, (None, None, 0, 1, False, False))
        return max_pool(reading, node, *found, line=node.target in (F.max_pool1d, torch.max_pool1d))
    if node.target in (F.avg_pool1d, F.avg_pool2d):
        names = ("kernel_size", "stride", "padding", "ceil_mode", "count_include_pad", "divisor_override")
        found = arguments(node, names, (None, None, 0, False, True, None))
        return average_pool(reading, node, *found, line=node.target is F.avg_pool1d)
    if node.target in (F.adaptive_avg_pool1d, F.adaptive_avg_pool2d):
        line = node.target is F.adaptive_avg_pool1d
        return adaptive(reading, node, argument(node, 1, "output_size", None), AveragePoolStep, line=line)
    if node.target in (F.adaptive_max_pool1d, F.adaptive_max_pool2d):
        # With indices, it is another function.
        line = node.target is F.adaptive_max_pool1d
        return adaptive(reading, node, argument(node, 1, "output_size", None), MaxPoolStep, line=line)
    if node.target in DROPOUTS:
        if argument(node, 2, "train" if node.target is torch.dropout else "training", DROPOUTS[node.target]):
            raise ValueError(f"{label_of(node)} drops values in eval mode too; call it with training=self.training")
        return None
    if node.op == "call_method" and node.target in COPIES:
        _require_copy(reading, node)
        return None
    if (kind := SOFTMAXES.get(node.target)) is not None:
        dtype = argument(node, 3 if node.target in (F.softmax, F.log_softmax) else 2, "dtype", None)
        if dtype not in (None, torch.float32, torch.float64):
            raise ValueError(f"{label_of(node)} is a {kind} in {dtype}; supported: float32 and float64")
        return softmax_at_end(reading, node, kind, argument(node, 1, "dim", None))
    raise ValueError(f"{label_of(node)} is {target_name(node)}; supported: {SUPPORTED}")


def _require_copy(reading: Reading, node: fx.Node) -> None:
    """A copy, or a conversion to another type, which must be the same type."""
    before, after = (None if one is None else one.meta.get(VALUE) for one in (reading.current, node))
    if before is None and node.target in COPIES[:3]:
        return
    if before is not None and after is not None and not after.is_floating_point() and bool((before == after).all()):
        # Whole numbers, which an embedding reads.
        return
    if before is None or after is None or before.dtype != after.dtype:
        raise ValueError(f"{label_of(node)} converts to another type; supported: a network of one floating-point type")
