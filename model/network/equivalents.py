"""Layers and functions that are traced as others which compute the same, so that the compilers need not know them.

Each stands here in terms of operations that are compiled. `zeroskip.model.network.fold` compares the network that comes
of it with the user's.
"""

from __future__ import annotations

import itertools
import math
import operator
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from zeroskip.model.network.hand_norms import LARGEST_EPS, product, quotient
from zeroskip.model.network.kinds import is_plain, torch_class
from zeroskip.model.network.node_keys import VALUE

THROUGH = (
    nn.CELU,
    nn.GLU,
    nn.LogSigmoid,
    nn.RReLU,
    nn.Softshrink,
    nn.Tanhshrink,
    nn.Transformer,
    nn.TransformerDecoder,
    nn.TransformerDecoderLayer,
)
"""Layers that are traced through, as if the user had written them."""

MOST_PARTS = 64
"""A value is taken from as many places of a dimension, at most, that do not follow one another."""


def is_traced_through(module: nn.Module) -> bool:
    """Whether a layer of torch is replaced by the operations of its forward()."""
    if is_plain(module, nn.AvgPool1d, nn.AvgPool2d):
        return not module.count_include_pad and module.padding not in (0, (0,), (0, 0)) and not module.ceil_mode
    return torch_class(module) in THROUGH


def layer_equivalent(module: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a layer gives for proxies; None for a layer that is read as it is."""
    if is_plain(module, nn.LSTMCell):
        return _lstm_cell(module, *args, **kwargs)
    if is_plain(module, nn.GRUCell):
        return _gru_cell(module, *args, **kwargs)
    if is_plain(module, nn.RNNCell):
        return _rnn_cell(module, *args, **kwargs)
    if is_plain(module, nn.MultiheadAttention):
        return _attention(module, *args, **kwargs)
    return None


def function_equivalent(target: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function or a method gives for proxies; None for one that is read as it is."""
    found = _FUNCTIONS.get(target)
    return None if found is None else found(*args, **kwargs)


def _gates(cell: nn.RNNCellBase, given: Any, state: Any) -> Any:
    """W_ih x + b_ih + W_hh h + b_hh, as one layer that reads both."""
    weight = torch.cat((cell.weight_ih, cell.weight_hh), 1)
    bias = cell.bias_ih + cell.bias_hh if cell.bias else None
    return F.linear(torch.cat((given, state), 1), weight, bias)


def _zeros(cell: nn.RNNCellBase, rows: int, columns: int | None = None) -> Tensor:
    return torch.zeros(rows, columns or cell.hidden_size, dtype=cell.weight_ih.dtype)


def _lstm_cell(cell: nn.LSTMCell, input: Any, hx: Any = None) -> Any:
    hidden, state = (_zeros(cell, input.shape[0]),) * 2 if hx is None else hx
    first, forget, new, output = torch.chunk(_gates(cell, input, hidden), 4, 1)
    state = torch.sigmoid(forget) * state + torch.sigmoid(first) * torch.tanh(new)
    return torch.sigmoid(output) * torch.tanh(state), state


def _gru_cell(cell: nn.GRUCell, input: Any, hx: Any = None) -> Any:
    hidden, size = _zeros(cell, input.shape[0]) if hx is None else hx, cell.hidden_size
    given, recurrent = cell.weight_ih, cell.weight_hh
    # The new gate multiplies its recurrent part by the reset gate, so both parts are outputs of their own.
    weight = torch.cat(
        (
            torch.cat((given[: 2 * size], recurrent[: 2 * size]), 1),
            torch.cat((given[2 * size :], _zeros(cell, size)), 1),
            torch.cat((_zeros(cell, size, cell.input_size), recurrent[2 * size :]), 1),
        )
    )
    bias = None
    if cell.bias:
        both = cell.bias_ih + cell.bias_hh
        bias = torch.cat((both[: 2 * size], cell.bias_ih[2 * size :], cell.bias_hh[2 * size :]))
    reset, update, new, before = torch.chunk(F.linear(torch.cat((input, hidden), 1), weight, bias), 4, 1)
    new = torch.tanh(new + torch.sigmoid(reset) * before)
    update = torch.sigmoid(update)
    return (1 - update) * new + update * hidden


def _rnn_cell(cell: nn.RNNCell, input: Any, hx: Any = None) -> Any:
    found = _gates(cell, input, _zeros(cell, input.shape[0]) if hx is None else hx)
    return torch.tanh(found) if cell.nonlinearity == "tanh" else F.relu(found)


def _attention(
    layer: nn.MultiheadAttention,
    query: Any,
    key: Any,
    value: Any,
    key_padding_mask: Any = None,
    need_weights: bool = True,
    attn_mask: Any = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> Any:
    """The attention of one sequence over another one; None for self-attention, which is read as it is."""
    if query is key is value or key_padding_mask is not None or not layer.batch_first:
        return None
    if layer.bias_k is not None or layer.add_zero_attn:
        return None
    width, heads = layer.embed_dim, layer.num_heads
    if layer.in_proj_weight is None:
        weights = layer.q_proj_weight, layer.k_proj_weight, layer.v_proj_weight
    else:
        weights = tuple(layer.in_proj_weight[part * width : (part + 1) * width] for part in range(3))

    def projected(number: int, given: Any) -> Any:
        """(samples, heads, tokens, width of a head)."""
        part = slice(number * width, (number + 1) * width)
        bias = None if layer.in_proj_bias is None else layer.in_proj_bias[part]
        tokens = F.linear(given, weights[number], bias)
        return tokens.reshape(-1, given.shape[1], heads, width // heads).transpose(1, 2)

    allowed = ~attn_mask if attn_mask is not None and attn_mask.dtype == torch.bool else attn_mask
    queries, keys, values = (projected(number, given) for number, given in enumerate((query, key, value)))
    found = F.scaled_dot_product_attention(queries, keys, values, attn_mask=allowed)
    joined = found.transpose(1, 2).reshape(-1, query.shape[1], width)
    return F.linear(joined, layer.out_proj.weight, layer.out_proj.bias), None


def _glu(input: Any, dim: int = -1) -> Any:
    value, gate = torch.chunk(input, 2, dim)
    return value * torch.sigmoid(gate)


def _celu(input: Any, alpha: float = 1.0, inplace: bool = False) -> Any:
    return F.elu(input) if alpha == 1 else F.elu(input / alpha) * alpha


def _rrelu(
    input: Any, lower: float = 1 / 8, upper: float = 1 / 3, training: bool = False, inplace: bool = False
) -> Any:
    return None if training else F.leaky_relu(input, (lower + upper) / 2)


def _softshrink(input: Any, lambd: float = 0.5) -> Any:
    return F.relu(input - lambd) - F.relu(-input - lambd)


def _power(input: Any, exponent: Any) -> Any:
    """A value to the power of 2, 3 or 4."""
    if not isinstance(exponent, int | float) or exponent not in (2, 3, 4):
        return None
    square = input * input
    return square if exponent == 2 else square * (input if exponent == 3 else square)


def _typed_as(input: Any, other: Any = None, *rest: Any, **named: Any) -> Any:
    """x.type_as(y) and x.to(y) of values that have one type already."""
    same = isinstance(other, Tensor) and not rest and not named and other.dtype == input.dtype
    return input if same else None


def _greater(input: Any, *args: Any, **kwargs: Any) -> Any:
    """The greater of two values, or the greatest of one over a dimension and its place."""
    if len(args) == 1 and isinstance(args[0], Tensor) and not kwargs:
        return input + F.relu(args[0] - input)
    return _extreme(torch.return_types.max, torch.amax, torch.argmax, input, *args, **kwargs)


def _smaller(input: Any, *args: Any, **kwargs: Any) -> Any:
    if len(args) == 1 and isinstance(args[0], Tensor) and not kwargs:
        return input - F.relu(input - args[0])
    return _extreme(torch.return_types.min, _least, torch.argmin, input, *args, **kwargs)


def _extreme(kind: Any, value: Any, place: Any, input: Any, dim: Any = None, keepdim: Any = False, **named: Any) -> Any:
    """What torch.max and torch.min give for a dimension."""
    if not isinstance(dim, int) or named:
        return None
    return kind((value(input, dim, keepdim), place(input, dim, keepdim)))


def _least(input: Any, dim: Any = (), keepdim: bool = False) -> Any:
    return -torch.amax(-input, dim, keepdim)


def _normalize(input: Any, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Any = None) -> Any:
    """x / |x| as a root mean square normalisation whose gain makes a mean of squares their sum. Only a small `eps` does
    the same there, as it is added and is no limit."""
    if p != 2 or not isinstance(dim, int) or out is not None or eps > LARGEST_EPS:
        return None
    width, last = input.shape[dim], input.dim() - 1
    moved = input if dim % input.dim() == last else input.movedim(dim, -1)
    found = F.rms_norm(moved, (width,), torch.full((width,), 1 / math.sqrt(width)), eps**2 / width)
    return found if moved is input else found.movedim(-1, dim)


def _roll(input: Any, shifts: Any, dims: Any = None) -> Any:
    if dims is None:
        return None
    by, along = ((one,) if isinstance(one, int) else tuple(one) for one in (shifts, dims))
    if any(dim % input.dim() == 0 for dim in along):
        return None
    for shift, dim in zip(by, along, strict=True):
        size = input.shape[dim]
        if first := -shift % size:
            parts = input.narrow(dim, first, size - first), input.narrow(dim, 0, first)
            input = torch.cat(parts, dim)
    return input


def _chosen(input: Any, place: Any) -> Any:
    """x[:, [0, 1, 4]] and x[..., mask]: a list or a mask of places in one dimension, the others whole."""
    places = place if isinstance(place, tuple) else (place,)
    if (ellipses := [number for number, one in enumerate(places) if one is ...]) and None not in places:
        missing = (slice(None),) * (input.dim() - len(places) + 1)
        places = *places[: ellipses[0]], *missing, *places[ellipses[0] + 1 :]
    lists = [number for number, one in enumerate(places) if isinstance(one, list | Tensor)]
    if len(lists) != 1 or any(one != slice(None) for number, one in enumerate(places) if number != lists[0]):
        return None
    return _select(input, lists[0], places[lists[0]])


def _select(input: Any, dim: int, index: Any) -> Any:
    """The places `index` of a dimension, or those of a mask, in runs of those that follow one another."""
    value = index.node.meta[VALUE] if isinstance(index, fx.Proxy) else index
    numbers = torch.as_tensor(value)
    if dim == 0 or not _is_value(input) or numbers.dim() != 1:
        return None
    if numbers.dtype == torch.bool:
        numbers = numbers.nonzero().flatten()
    if numbers.dtype not in (torch.int32, torch.long):
        return None
    found = [number % input.shape[dim] for number in numbers.tolist()]
    runs = [[*run] for _, run in itertools.groupby(enumerate(found), lambda one: one[1] - one[0])]
    if len(runs) > MOST_PARTS or not runs:
        return None
    parts = [input.narrow(dim, run[0][1], len(run)) for run in runs]
    return parts[0] if len(parts) == 1 else torch.cat(parts, dim)


def _average_pool(
    input: Any,
    kernel_size: Any,
    stride: Any = None,
    padding: Any = 0,
    ceil_mode: bool = False,
    count_include_pad: bool = True,
    divisor_override: Any = None,
) -> Any:
    """An average without the padding: that with it, times a factor for each place."""
    if count_include_pad or ceil_mode or divisor_override is not None:
        return None
    pool = F.avg_pool1d if input.dim() == 3 else F.avg_pool2d
    share = pool(torch.ones(1, 1, *input.shape[2:]), kernel_size, stride, padding)
    found = pool(input, kernel_size, stride, padding)
    return found if bool((share == 1).all()) else found * (1 / share)


def _is_value(one: object) -> bool:
    """Whether it is a tensor of the traced network."""
    return isinstance(one, fx.Proxy) and isinstance(one, Tensor)


_FUNCTIONS: dict[Any, Callable[..., Any]] = {
    F.glu: _glu,
    F.celu: _celu,
    F.rrelu: _rrelu,
    F.softshrink: _softshrink,
    F.tanhshrink: lambda input: input - torch.tanh(input),
    F.logsigmoid: lambda input: -F.softplus(-input),
    F.normalize: _normalize,
    **dict.fromkeys((torch.square, "square"), lambda input: input * input),
    **dict.fromkeys((operator.abs, torch.abs, "abs"), lambda input: F.relu(input) + F.relu(-input)),
    **dict.fromkeys((operator.pow, torch.pow, "pow"), _power),
    **dict.fromkeys((torch.maximum, "maximum", torch.max, "max"), _greater),
    **dict.fromkeys((torch.minimum, "minimum", torch.min, "min"), _smaller),
    **dict.fromkeys(("type_as", "to"), _typed_as),
    **dict.fromkeys((torch.amin, "amin"), _least),
    **dict.fromkeys((operator.mul, torch.mul, torch.multiply, "mul", "multiply"), product),
    **dict.fromkeys((operator.truediv, torch.div, torch.true_divide, "div", "true_divide"), quotient),
    **dict.fromkeys((torch.roll, "roll"), _roll),
    operator.getitem: _chosen,
    **dict.fromkeys((torch.index_select, "index_select"), _select),
    **dict.fromkeys((F.avg_pool1d, F.avg_pool2d), _average_pool),
}
