"""The operations of torch that only move values of a sample: what they do is found by moving the values' places."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from zeroskip.model.network.calls import argument
from zeroskip.model.network.kinds import is_plain
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.trace import RESHAPE_METHODS, RESHAPES

_FUNCTIONS = (
    operator.getitem,
    torch.transpose,
    torch.permute,
    torch.swapaxes,
    torch.swapdims,
    torch.movedim,
    torch.moveaxis,
    torch.chunk,
    torch.split,
    torch.unbind,
    torch.narrow,
    torch.select,
    torch.flip,
    torch.broadcast_to,
    torch.tile,
    torch.repeat_interleave,
    F.pixel_shuffle,
    F.pixel_unshuffle,
)
_METHODS = (
    "transpose",
    "permute",
    "swapaxes",
    "swapdims",
    "movedim",
    "moveaxis",
    "chunk",
    "split",
    "unbind",
    "narrow",
    "select",
    "flip",
    "expand",
    "expand_as",
    "broadcast_to",
    "repeat",
    "tile",
    "repeat_interleave",
)
_NEAREST = ("nearest", "nearest-exact")


def is_move(network: nn.Module, node: fx.Node) -> bool:
    """Whether a node gives nothing but values of what it reads, by places that do not depend on them."""
    if node.op == "call_module":
        layer = network.get_submodule(str(node.target))
        if is_plain(layer, nn.Upsample):
            return layer.mode in _NEAREST
        return is_plain(layer, nn.PixelShuffle, nn.PixelUnshuffle, nn.ChannelShuffle)
    if node.op == "call_method":
        return node.target in _METHODS
    if node.target is getattr:
        return node.args[1] == "mT"
    if node.target is F.interpolate:
        return argument(node, 3, "mode", "nearest") in _NEAREST
    return node.target in _FUNCTIONS


def is_reshape(node: fx.Node) -> bool:
    """Whether a node calls a function or method that only changes a shape."""
    return node.target in RESHAPES or (node.op == "call_method" and node.target in RESHAPE_METHODS)


def moved(network: nn.Module, node: fx.Node, value: Tensor) -> Any:
    """What a node gives for another value than the one that it reads first."""

    def known(other: fx.Node) -> Any:
        return other.meta[VALUE]

    args, kwargs = fx.node.map_arg((node.args, node.kwargs), known)
    if node.args:
        args = (value, *args[1:])
    else:
        kwargs = {**kwargs, "input": value}
    if node.op == "call_module":
        return network.get_submodule(str(node.target))(*args, **kwargs)
    if node.op == "call_method":
        return getattr(value, str(node.target))(*args[1:], **kwargs)
    assert callable(node.target)
    return node.target(*args, **kwargs)
