"""Functions that multiply values by tensors of the network, as layers of torch do it by their own weights."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from zeroskip.model.network.calls import argument, label_of
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.pieces import Pieces
from zeroskip.model.network.reading.layers import conv_step
from zeroskip.model.network.reading.reading import Reading

_PRODUCTS = (operator.matmul, torch.matmul, torch.mm, "matmul", "mm", "__matmul__")
_CONVOLUTIONS = (F.conv1d, F.conv2d, torch.conv1d, torch.conv2d)


def weighted(reading: Reading, node: fx.Node) -> bool:
    """Adds the steps of such a function; False where it is none, or multiplies no value of the network by a constant
    one."""
    if VALUE not in node.meta or node.op == "call_module":
        return False
    if node.target is F.linear:
        weight, bias = (_constant(reading, argument(node, *where, None)) for where in ((1, "weight"), (2, "bias")))
        return weight is not None and _linear(reading, node, weight, bias)
    if node.target is torch.addmm and not {"alpha", "beta"} & node.kwargs.keys():
        bias, weight = (_constant(reading, argument(node, *where, None)) for where in ((0, "input"), (2, "mat2")))
        return weight is not None and _linear(reading, node, weight.T, bias)
    if node.target in _PRODUCTS:
        return _product(reading, node)
    if node.target in _CONVOLUTIONS:
        return _convolution(reading, node)
    return False


def _constant(reading: Reading, given: object) -> Tensor | None:
    known = isinstance(given, fx.Node) and given in reading.tokens.constants
    found = given.meta[VALUE] if known else None  # type: ignore[attr-defined]
    return found if isinstance(found, Tensor) else None


def _value(reading: Reading, node: fx.Node) -> fx.Node | None:
    """The one value of the network that a node reads, in torch's shape."""
    found = [source for source in node.all_input_nodes if source in reading.list]
    return found[0] if len(found) == 1 else None


def _linear(reading: Reading, node: fx.Node, weight: Tensor, bias: Tensor | None) -> bool:
    """The product of the last dimension of a value and a weight (outputs, inputs)."""
    source = _value(reading, node)
    if source is None or weight.dim() != 2 or (bias is not None and bias.dim() != 1):
        return False
    pieces = Pieces(reading.list, node)
    pieces.end(pieces.linear(pieces.held(source), _layer(weight, bias)))
    return True


def _layer(weight: Tensor, bias: Tensor | None = None) -> nn.Linear:
    made = nn.utils.skip_init(nn.Linear, weight.shape[1], weight.shape[0], bias=bias is not None, dtype=weight.dtype)
    return _filled(made, weight, bias)


@torch.no_grad()
def _filled(layer: Any, weight: Tensor, bias: Tensor | None) -> Any:
    layer.weight.copy_(weight)
    if bias is not None:
        layer.bias.copy_(bias)
    return layer.eval()


def _product(reading: Reading, node: fx.Node) -> bool:
    """A matrix product of a value and a constant matrix or vector, on either side."""
    source = _value(reading, node)
    pair = [argument(node, 0, "input", None), argument(node, 1, "other", argument(node, 1, "mat2", None))]
    constants = [_constant(reading, part) for part in pair]
    if source is None or source not in pair:
        return False
    one, other = constants
    pieces = Pieces(reading.list, node)
    if other is not None and other.dim() == 2:
        pieces.end(pieces.linear(pieces.held(source), _layer(other.T)))
    elif other is not None and other.dim() == 1:
        found = pieces.linear(pieces.held(source), _layer(other[None]))
        pieces.end(found if len(found.shape) == 2 else pieces.move(found, lambda value: value.squeeze(-1)))
    elif one is not None and one.dim() == 2 and source.meta[VALUE].dim() > 2:
        # (W x)^T = x^T W^T
        turned = pieces.move(pieces.held(source), lambda value: value.transpose(-2, -1))
        found = pieces.linear(turned, _layer(one))
        pieces.end(pieces.move(found, lambda value: value.transpose(-2, -1)))
    else:
        return False
    return True


def _convolution(reading: Reading, node: fx.Node) -> bool:
    names = ("input", "weight", "bias", "stride", "padding", "dilation", "groups")
    defaults: tuple[object, ...] = (None, None, None, 1, 0, 1, 1)
    source, given, offset, stride, padding, dilation, groups = (
        argument(node, place, name, default) for place, (name, default) in enumerate(zip(names, defaults, strict=True))
    )
    weight, bias = _constant(reading, given), _constant(reading, offset)
    if weight is None or source not in reading.list or (offset is not None and bias is None):
        return False
    kind: Any = nn.Conv1d if weight.dim() == 3 else nn.Conv2d
    if not isinstance(groups, int):
        raise ValueError(f"{label_of(node)} has groups = {groups}; supported: a number")
    made = nn.utils.skip_init(
        kind,
        weight.shape[1] * groups,
        weight.shape[0],
        tuple(weight.shape[2:]),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias is not None,
        dtype=weight.dtype,
    )
    assert isinstance(source, fx.Node)
    reading.current = source
    reading.list.add(node, conv_step(reading, node, _filled(made, weight, bias)))
    return True
