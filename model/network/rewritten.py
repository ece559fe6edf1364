"""Layers and functions of one value that are rewritten as pieces, by themselves: normalisation of groups, reductions,
padding, resizing, and einsum of two values."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import fx, nn
from torch.nn import functional as F

from zeroskip.model.network.calls import argument, arguments, dimensions, label_of, target_name
from zeroskip.model.network.channel_groups import normalised_groups
from zeroskip.model.network.einsum import einsum
from zeroskip.model.network.interpolation import DIMENSIONS, resized
from zeroskip.model.network.kinds import is_plain
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.padding import padded
from zeroskip.model.network.parametric import parametric_relu
from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.reductions import Reduction, reduced
from zeroskip.model.network.step_list import StepList

_PADDINGS: dict[type[nn.Module], str] = {
    nn.ZeroPad1d: "constant",
    nn.ZeroPad2d: "constant",
    nn.ConstantPad1d: "constant",
    nn.ConstantPad2d: "constant",
    nn.ReflectionPad1d: "reflect",
    nn.ReflectionPad2d: "reflect",
    nn.ReplicationPad1d: "replicate",
    nn.ReplicationPad2d: "replicate",
    nn.CircularPad1d: "circular",
    nn.CircularPad2d: "circular",
}


def read_layer(steps: StepList, node: fx.Node, layer: nn.Module) -> bool:
    """Adds the steps of a layer; False where it is none of these."""
    pieces = Pieces(steps, node)
    if is_plain(layer, nn.GroupNorm):
        given = pieces.held(node.all_input_nodes[0])
        pieces.end(normalised_groups(pieces, given, layer.num_groups, layer.eps, layer.weight, layer.bias))
    elif is_plain(layer, nn.InstanceNorm1d) or is_plain(layer, nn.InstanceNorm2d):
        given = pieces.held(node.all_input_nodes[0])
        if layer.track_running_stats or len(given.shape) != (3 if isinstance(layer, nn.InstanceNorm1d) else 4):
            raise ValueError(
                f"{label_of(node)} keeps running statistics, or reads values of shape {given.shape}; supported: "
                "track_running_stats=False, and values with samples first"
            )
        pieces.end(normalised_groups(pieces, given, given.shape[1], layer.eps, layer.weight, layer.bias))
    elif is_plain(layer, *_PADDINGS):
        mode = next(mode for kind, mode in _PADDINGS.items() if is_plain(layer, kind))
        value = float(getattr(layer, "value", 0))
        sizes = tuple(layer.padding)  # type: ignore[arg-type]
        pieces.end(padded(pieces, pieces.held(node.all_input_nodes[0]), sizes, mode, value))
    elif is_plain(layer, nn.Upsample) and layer.mode in DIMENSIONS:
        given = pieces.held(node.all_input_nodes[0])
        _require_resizable(node, given, layer.mode, layer.recompute_scale_factor)
        pieces.end(resized(pieces, given, layer.mode, layer.size, layer.scale_factor, layer.align_corners))
    elif is_plain(layer, nn.PReLU):
        pieces.end(parametric_relu(pieces, layer, pieces.held(node.all_input_nodes[0])))
    else:
        return False
    return True


def read_function(steps: StepList, node: fx.Node) -> bool:
    """Adds the steps of a function or a method; False where it is none of these."""
    handler = _FUNCTIONS.get(node.target)
    return handler is not None and handler(steps, node)


def _einsum(steps: StepList, node: fx.Node) -> bool:
    equation, *parts = node.args
    values = parts[0] if len(parts) == 1 and isinstance(parts[0], tuple | list) else parts
    found = [part for part in values if isinstance(part, fx.Node) and part in steps]
    if len(found) != 2 or len(values) != 2 or not isinstance(equation, str):
        return False
    pieces = Pieces(steps, node)
    one, other = (pieces.held(part) for part in found)
    pieces.end(einsum(pieces, label_of(node), equation, one, other))
    return True


def _reduced(kind: Reduction) -> Callable[[StepList, fx.Node], bool]:
    """A sum or the greatest value over dimensions."""

    def read(steps: StepList, node: fx.Node) -> bool:
        given = argument(node, 1, "dim", None)
        source = node.all_input_nodes[0]
        if source not in steps or len(node.all_input_nodes) > 1:
            return False
        listed = dimensions(given, source.meta[VALUE].dim())
        if listed is None or 0 in listed or node.kwargs.get("dtype") is not None:
            raise ValueError(
                f"{label_of(node)} is {target_name(node)} over {given}; supported: over dimensions of each sample, "
                "which begin with 1, and without a dtype"
            )
        pieces = Pieces(steps, node)
        pieces.end(reduced(pieces, pieces.held(source), listed, kind, tuple(node.meta[VALUE].shape)))
        return True

    return read


def _group_norm(steps: StepList, node: fx.Node) -> bool:
    groups, eps = argument(node, 1, "num_groups", 1), argument(node, 4, "eps", 1e-5)
    weight, bias = (argument(node, *where, None) for where in ((2, "weight"), (3, "bias")))
    values = [None if one is None else one.meta[VALUE] for one in (weight, bias)]  # type: ignore[attr-defined]
    assert isinstance(groups, int)
    assert isinstance(eps, float)
    pieces = Pieces(steps, node)
    pieces.end(normalised_groups(pieces, pieces.held(node.all_input_nodes[0]), groups, eps, *values))
    return True


def _pad(steps: StepList, node: fx.Node) -> bool:
    sizes, mode = argument(node, 1, "pad", ()), argument(node, 2, "mode", "constant")
    value = argument(node, 3, "value", None)
    if not isinstance(sizes, tuple | list) or not isinstance(mode, str):
        return False
    pieces = Pieces(steps, node)
    given = pieces.held(node.all_input_nodes[0])
    pieces.end(padded(pieces, given, tuple(sizes), mode, 0.0 if value is None else float(value)))  # type: ignore[arg-type]
    return True


def _interpolate(steps: StepList, node: fx.Node) -> bool:
    names = ("size", "scale_factor", "mode", "align_corners", "recompute_scale_factor", "antialias")
    found = arguments(node, names, (None, None, "nearest", None, None, False))
    size, factor, mode, corners, recompute, antialias = found
    if mode not in DIMENSIONS:
        return False
    pieces = Pieces(steps, node)
    given = pieces.held(node.all_input_nodes[0])
    _require_resizable(node, given, str(mode), recompute or antialias)
    pieces.end(resized(pieces, given, str(mode), size, factor, corners))  # type: ignore[arg-type]
    return True


def _require_resizable(node: fx.Node, given: Held, mode: str, other: object) -> None:
    if len(given.shape) != 2 + DIMENSIONS[mode] or other:
        raise ValueError(
            f"{label_of(node)} resizes values of shape {given.shape} by {mode}; supported: (samples, "
            "channels, ...), without recompute_scale_factor and antialias"
        )


_FUNCTIONS: dict[object, Callable[[StepList, fx.Node], bool]] = {
    torch.einsum: _einsum,
    **dict.fromkeys((torch.sum, "sum"), _reduced("sum")),
    **dict.fromkeys((torch.max, "max", torch.amax, "amax"), _reduced("max")),
    F.group_norm: _group_norm,
    F.pad: _pad,
    F.interpolate: _interpolate,
}
