"""Reads operations that become several steps, or have constants: normalisation, softmax, products of matrices,
attention, embeddings, transposed convolutions."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, fx, nn
from torch.nn import functional as F

from zeroskip.model.network.attention import attend, encode, encode_all, multi_head
from zeroskip.model.network.calls import argument, label_of, target_name
from zeroskip.model.network.kinds import is_plain
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.recurrent import run_layers
from zeroskip.model.network.rewritten import read_function, read_layer
from zeroskip.model.network.step_list import StepList
from zeroskip.model.network.token_operations import Constant, Embedding, Scaling
from zeroskip.model.network.token_pieces import broadcast, matrix_product, normalised, of_sample, shortest, softmaxed
from zeroskip.model.network.transposed import transposed

_ADD = (operator.add, operator.iadd, torch.add, "add", "add_")
_SUBTRACT = (operator.sub, operator.isub, torch.sub, torch.subtract, "sub", "sub_", "subtract")
_REVERSED = (torch.rsub,)
_MULTIPLY = (operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_", "multiply")
_DIVIDE = (operator.truediv, operator.itruediv, torch.div, torch.divide, torch.true_divide, "div", "div_", "divide")
_NEGATE = (operator.neg, torch.neg, torch.negative, "neg", "negative")
_MATRIX_PRODUCTS = (operator.matmul, torch.matmul, torch.bmm, "matmul", "bmm", "__matmul__")
_MASKED = (torch.masked_fill, "masked_fill", "masked_fill_")
_SOFTMAXES = (F.softmax, torch.softmax, "softmax")
OF_ROWS = (
    *(*_ADD, *_SUBTRACT, *_REVERSED, *_MULTIPLY, *_DIVIDE, *_NEGATE, *_MATRIX_PRODUCTS, *_MASKED, torch.where),
    *(F.layer_norm, F.rms_norm, F.scaled_dot_product_attention),
)
"""Functions that compute each value by itself, or each row, or the rows of each value of the first dimension."""

_MAKERS = (
    *("new_zeros", "new_ones", "new_full"),
    *(torch.zeros_like, torch.ones_like, torch.full_like),
)
"""What they make has the shape of a value, or another one, and depends on nothing else of it."""

_SMALLEST = torch.finfo(torch.float32).eps
_FAR_BELOW = -1e4
"""A score of so much below the others has a share of zero."""


class TokenReader:
    """Reads into `list`; `constants` are the nodes that do not depend on the network's input, `masks` those of scores
    with a mask, which a softmax reads."""

    def __init__(self, module: nn.Module, steps: StepList) -> None:
        self.module = module
        self.list = steps
        self.constants: set[fx.Node] = set()
        self.masks: dict[fx.Node, tuple[fx.Node, Tensor]] = {}
        # The last states of the layers and directions of recurrent layers, each (n, 1, hidden values).
        self.ends: dict[fx.Node, list[Held]] = {}
        self._functions: dict[object, Callable[[fx.Node], bool]] = {
            **dict.fromkeys((*_ADD, *_SUBTRACT, *_REVERSED, *_MULTIPLY, *_DIVIDE, *_NEGATE), self._arithmetic),
            **dict.fromkeys(_MATRIX_PRODUCTS, self._matrix_product),
            **dict.fromkeys((*_MASKED, torch.where), self._mask),
            **dict.fromkeys(_SOFTMAXES, self._softmax),
            F.layer_norm: self._layer_norm,
            F.rms_norm: self._rms_norm,
            F.scaled_dot_product_attention: self._attention,
        }

    def is_constant(self, node: fx.Node) -> bool:
        """Whether a node depends on constants alone; it is remembered then."""
        known = VALUE in node.meta and node.op not in ("placeholder", "output")
        if known and (node.target in _MAKERS or all(source in self.constants for source in node.all_input_nodes)):
            self.constants.add(node)
            return True
        return False

    def read(self, node: fx.Node) -> bool:
        """Adds the steps of a node; False where it is none of these operations, or shapes are not known."""
        if VALUE not in node.meta:
            return False
        for source in node.all_input_nodes:
            if source in self.masks and not self._is_softmax(node):
                raise ValueError(
                    f"{label_of(source)} is {target_name(source)} with a mask, which {label_of(node)} reads; "
                    "supported: masked scores that a softmax over the last dimension reads"
                )
        if node.op == "call_module":
            return self._module(node, self.module.get_submodule(str(node.target)))
        handler = self._functions.get(node.target)
        if handler is not None:
            return handler(node)
        return read_function(self.list, node)

    def constant_part(self, pieces: Pieces, part: fx.Node, beside: Held) -> Held:
        """A constant as a value, for every sample the same, beside another value."""
        value = part.meta[VALUE]
        found = of_sample(label_of(pieces.node), value, tuple(value.shape))
        return pieces.token(Constant(constant=found), tuple(value.shape), beside)

    def _all_held(self, pieces: Pieces, *parts: object) -> list[Held] | None:
        """Values (samples, ...) and constants as values; None where one of them is neither, or all are constants."""
        values = [part for part in parts if isinstance(part, fx.Node) and part in self.list]
        constants = [part for part in parts if isinstance(part, fx.Node) and part in self.constants]
        if not values or len(values) + len(constants) < len(parts):
            return None
        beside = pieces.held(values[0])
        found = []
        for part in parts:
            assert isinstance(part, fx.Node)
            found.append(pieces.held(part) if part in self.list else self._constant_of_each(pieces, part, beside))
        return found

    def _constant_of_each(self, pieces: Pieces, part: fx.Node, beside: Held) -> Held:
        """A constant as a value of each sample; where it names no samples, it is that of all."""
        value = part.meta[VALUE]
        if value.dim() < len(beside.shape):
            value = value[None]
        if len(value) == 1:
            value = value.expand(beside.shape[0], *value.shape[1:])
        found = of_sample(label_of(pieces.node), value, tuple(value.shape))
        return pieces.token(Constant(constant=found), tuple(value.shape), beside)

    def _ends(self, node: fx.Node) -> bool:
        """Whether nothing computes on a value: it is reshaped at most, and given by the network."""

        def is_quiet(user: fx.Node) -> bool:
            if user.op == "call_module":
                return is_plain(self.module.get_submodule(str(user.target)), nn.Flatten, nn.Identity, nn.Dropout)
            return user.target in _QUIET

        return all(user.op == "output" or (is_quiet(user) and self._ends(user)) for user in node.users)

    def _is_softmax(self, node: fx.Node) -> bool:
        if node.op == "call_module":
            return is_plain(self.module.get_submodule(str(node.target)), nn.Softmax)
        return node.target in _SOFTMAXES

    def _module(self, node: fx.Node, layer: nn.Module) -> bool:
        pieces = Pieces(self.list, node)
        if is_plain(layer, nn.Softmax):
            return self._softmax(node)
        if is_plain(layer, nn.LayerNorm):
            self._normalise(node, tuple(layer.normalized_shape), layer.eps, layer.weight, layer.bias, centred=True)
        elif is_plain(layer, nn.RMSNorm):
            eps = _SMALLEST if layer.eps is None else layer.eps
            self._normalise(node, tuple(layer.normalized_shape), eps, layer.weight, None, centred=False)
        elif is_plain(layer, nn.Embedding):
            if layer.max_norm is not None:
                raise ValueError(f"{label_of(node)} has max_norm = {layer.max_norm}; supported: None")
            given = pieces.held(node.all_input_nodes[0])
            table = layer.weight.detach().float().numpy()
            pieces.end(pieces.token(Embedding(table=table), (*given.shape, table.shape[1]), given))
        elif is_plain(layer, nn.LSTM, nn.GRU, nn.RNN):
            self._require_no_state(node)
            made, self.ends[node] = run_layers(pieces, layer, pieces.held(node.all_input_nodes[0]))
            pieces.end(made)
        elif is_plain(layer, nn.ConvTranspose1d) or is_plain(layer, nn.ConvTranspose2d):
            if len(node.args) != 1 or node.kwargs:
                raise ValueError(f"{label_of(node)} is given an output_size; supported: output_padding")
            given = pieces.held(node.all_input_nodes[0])
            if len(given.shape) != layer.weight.dim():
                raise ValueError(f"{label_of(node)} reads values of shape {given.shape}; supported: with samples first")
            pieces.end(transposed(pieces, layer, given))
        elif is_plain(layer, nn.MultiheadAttention):
            pieces.end(multi_head(pieces, layer, *self._of_attention(node, pieces)))
        elif is_plain(layer, nn.TransformerEncoderLayer):
            given, mask = self._of_encoder(node, pieces)
            pieces.end(encode(pieces, layer, given, mask))
        elif is_plain(layer, nn.TransformerEncoder):
            given, mask = self._of_encoder(node, pieces)
            pieces.end(encode_all(pieces, layer, given, mask))
        else:
            return read_layer(self.list, node, layer)
        return True

    def _of_attention(self, node: fx.Node, pieces: Pieces) -> tuple[Held, Tensor | None]:
        """What a MultiheadAttention reads, and its mask (allowed where it is not zero)."""
        names = ("query", "key", "value", "key_padding_mask", "need_weights", "attn_mask", "average_attn_weights")
        given = {name: argument(node, place, name, None) for place, name in enumerate((*names, "is_causal"))}
        if not given["query"] is given["key"] is given["value"] or given["key_padding_mask"] is not None:
            raise ValueError(
                f"{label_of(node)} is an attention with key_padding_mask, or one of different queries, keys and values "
                "without batch_first or with add_bias_kv or add_zero_attn; supported: batch_first=True, with "
                "attn_mask at most"
            )
        assert isinstance(given["query"], fx.Node)
        return pieces.held(given["query"]), _allowed(node, given["attn_mask"])

    def _require_no_state(self, node: fx.Node) -> None:
        """Raises ValueError where a recurrent layer is given a first state that is not zero."""
        state = argument(node, 1, "hx", None)
        parts = state if isinstance(state, tuple | list) else [state]
        for part in parts:
            zero = isinstance(part, fx.Node) and part in self.constants and not bool(part.meta[VALUE].any())
            if part is not None and not zero:
                raise ValueError(f"{label_of(node)} is given a first state; supported: zeros, as without one")

    def last_states(self, node: fx.Node, of: fx.Node) -> Held:
        """Those of a recurrent layer `of`, for the node that takes them: (n, layers and directions, hidden values)."""
        pieces = Pieces(self.list, node)
        ends = self.ends[of]
        return ends[0] if len(ends) == 1 else pieces.concat(ends)

    def _of_encoder(self, node: fx.Node, pieces: Pieces) -> tuple[Held, Tensor | None]:
        names = ("mask", "src_mask")
        mask = next((node.kwargs[name] for name in names if name in node.kwargs), argument(node, 1, "mask", None))
        padding = argument(node, 2, "src_key_padding_mask", None)
        source = argument(node, 0, "src", None)
        if padding is not None or not isinstance(source, fx.Node):
            raise ValueError(f"{label_of(node)} is given a src_key_padding_mask; supported: a mask at most")
        return pieces.held(source), _allowed(node, mask)

    def _normalise(
        self,
        node: fx.Node,
        shape: tuple[int, ...],
        eps: float,
        weight: Tensor | None,
        bias: Tensor | None,
        *,
        centred: bool,
    ) -> None:
        pieces = Pieces(self.list, node)
        given = pieces.held(node.all_input_nodes[0])
        if given.shape[-len(shape) :] != shape or len(given.shape) == len(shape):
            raise ValueError(f"{label_of(node)} normalises {shape} of {given.shape}; supported: the last dimensions")
        pieces.end(normalised(pieces, given, shape, eps, weight, bias, centred=centred))

    def _layer_norm(self, node: fx.Node) -> bool:
        shape = argument(node, 1, "normalized_shape", ())
        weight, bias = (argument(node, *where, None) for where in ((2, "weight"), (3, "bias")))
        values = [None if one is None else one.meta[VALUE] for one in (weight, bias)]  # type: ignore[attr-defined]
        eps = argument(node, 4, "eps", 1e-5)
        assert isinstance(shape, tuple | list)
        assert isinstance(eps, float)
        self._normalise(node, tuple(shape), eps, *values, centred=True)
        return True

    def _rms_norm(self, node: fx.Node) -> bool:
        shape, weight = argument(node, 1, "normalized_shape", ()), argument(node, 2, "weight", None)
        eps = argument(node, 3, "eps", None)
        value = None if weight is None else weight.meta[VALUE]  # type: ignore[attr-defined]
        assert isinstance(shape, tuple | list)
        self._normalise(node, tuple(shape), _SMALLEST if eps is None else float(eps), value, None, centred=False)  # type: ignore[arg-type]
        return True

    def _arithmetic(self, node: fx.Node) -> bool:
        """Operations with a constant, and differences. Sums and products of two values are steps of their own."""
        pair = [argument(node, 0, "input", None), argument(node, 1, "other", None)]
        negates = node.target in _NEGATE
        values = [isinstance(part, fx.Node) and part in self.list for part in pair]
        if all(values):
            return node.target in _SUBTRACT and self._difference(node, pair)
        if not any(values) or (not negates and not all(self._is_number(part) for part in _others(pair, values))):
            return False
        alpha = 1 if node.target in (*_MULTIPLY, *_DIVIDE, *_NEGATE) else argument(node, 2, "alpha", 1)
        if node.kwargs.get("out") is not None or node.kwargs.get("rounding_mode") is not None:
            return False
        first = values[0]
        value = pair[0] if first else pair[1]
        other = pair[1] if first else pair[0]
        assert isinstance(value, fx.Node)
        constant = 0 if negates else self._number_of(other)
        if node.target in _ADD and isinstance(constant, Tensor):
            allowed = _not_far_below(constant)
            masks = allowed is not None and not bool(allowed.all()) and self._only_softmaxes_read(node)
            if masks or bool((constant == -math.inf).any()):
                return self._added_mask(node, value, allowed)
        scale, shift = _line(node, constant, first=first, alpha=alpha)
        if scale is None:
            return False
        self._scale(node, value, scale, shift)
        return True

    def _scale(self, node: fx.Node, value: fx.Node, scale: Any, shift: Any) -> None:
        pieces = Pieces(self.list, node)
        given = pieces.held(value)
        shape = tuple(node.meta[VALUE].shape)
        if given.shape != shape:
            if len(given.shape) != len(shape):
                raise ValueError(
                    f"{label_of(node)} joins a value of shape {given.shape} with a constant to {shape}; supported: "
                    "results of as many dimensions"
                )
            given = pieces.move(given, lambda moved: moved.expand(shape))
        scales, shifts = (of_sample(label_of(node), torch.as_tensor(one), shape) for one in (scale, shift))
        scales, shifts = shortest(scales, shifts)
        pieces.end(pieces.token(Scaling(scale=scales, shift=shifts), shape, given))

    def _difference(self, node: fx.Node, pair: list[Any]) -> bool:
        one, other = pair
        if argument(node, 2, "alpha", 1) != 1 or one.meta[VALUE].dim() != other.meta[VALUE].dim():
            raise ValueError(
                f"{label_of(node)} subtracts with an alpha, or values of the shapes {tuple(one.meta[VALUE].shape)} and "
                f"{tuple(other.meta[VALUE].shape)}; supported: the plain difference of values of as many dimensions"
            )
        pieces, shape = Pieces(self.list, node), node.meta[VALUE].shape
        held, taken = (
            part if part.shape == shape else pieces.move(part, lambda value: value.expand(shape))
            for part in (pieces.held(one), pieces.held(other))
        )
        negative = Scaling(scale=np.full(1, -1, np.float32), shift=np.zeros(1, np.float32))
        pieces.end(pieces.add(held, pieces.token(negative, taken.shape, taken)))
        return True

    def _is_number(self, part: object) -> bool:
        return isinstance(part, int | float | Tensor) or (isinstance(part, fx.Node) and part in self.constants)

    def _number_of(self, part: Any) -> Any:
        return part.meta[VALUE] if isinstance(part, fx.Node) else part

    def _matrix_product(self, node: fx.Node) -> bool:
        pair = [argument(node, 0, "input", None), argument(node, 1, "other", argument(node, 1, "mat2", None))]
        pieces = Pieces(self.list, node)
        held = self._all_held(pieces, *pair)
        if held is None:
            return False
        one, other = held
        if min(len(one.shape), len(other.shape)) < 3 or len(one.shape) != len(other.shape):
            raise ValueError(
                f"{label_of(node)} multiplies values of the shapes {one.shape} and {other.shape}; supported: "
                "(samples, ..., rows, depth) by (samples, ..., depth, columns)"
            )
        pieces.end(matrix_product(pieces, one, other))
        return True

    def _mask(self, node: fx.Node) -> bool:
        if node.target is torch.where:
            mask, source, value = (argument(node, place, name, None) for place, name in enumerate(_WHERE))
        else:
            source, mask, value = (argument(node, place, name, None) for place, name in enumerate(_FILL))
        number = self._number_of(value) if self._is_number(value) else None
        if not isinstance(mask, fx.Node) or not isinstance(source, fx.Node) or number is None:
            return False
        if mask not in self.constants or source not in self.list or float(torch.as_tensor(number).max()) > _FAR_BELOW:
            raise ValueError(
                f"{label_of(node)} is {target_name(node)}; supported: scores that a constant mask fills with -inf "
                "before a softmax"
            )
        filled = mask.meta[VALUE] != 0
        self.masks[node] = source, filled if node.target is torch.where else ~filled
        return True

    def _added_mask(self, node: fx.Node, value: fx.Node, allowed: Tensor | None) -> bool:
        if allowed is None:
            raise ValueError(f"{label_of(node)} adds -inf and other numbers; supported: a mask of 0 and -inf")
        self.masks[node] = value, allowed
        return True

    def _only_softmaxes_read(self, node: fx.Node) -> bool:
        """Whether numbers far below 0, added here, are a mask: else they are numbers."""
        return all(
            isinstance(self.module.get_submodule(str(user.target)), nn.Softmax)
            if user.op == "call_module"
            else user.target in _SOFTMAXES
            for user in node.users
        )

    def _softmax(self, node: fx.Node) -> bool:
        source = node.all_input_nodes[0]
        if source not in self.masks and self._ends(node) and len(node.meta[VALUE].shape) in (2, 4):
            # The network may end in it.
            return False
        module = node.op == "call_module"
        dimension = self.module.get_submodule(str(node.target)).dim if module else argument(node, 1, "dim", None)
        shape = tuple(node.meta[VALUE].shape)
        if not isinstance(dimension, int) or dimension % len(shape) == 0:
            raise ValueError(
                f"{label_of(node)} is a softmax over dimension {dimension}; supported: 1, that of the classes, and "
                "others of each sample"
            )
        if not module and argument(node, 3 if node.target is F.softmax else 2, "dtype", None) not in _SOFTMAX_TYPES:
            return False
        pieces = Pieces(self.list, node)
        scores, mask = self.masks.get(source, (source, None))
        given = pieces.held(scores)
        last = dimension % len(shape)

        def to_end(value: Tensor) -> Tensor:
            return value.movedim(last, -1)

        moved = given if last == len(shape) - 1 else pieces.move(given, to_end)
        rows = None if mask is None else to_end(broadcast(label_of(node), mask, shape))
        found = softmaxed(pieces, moved, rows)
        pieces.end(found if moved is given else pieces.move(found, lambda value: value.movedim(-1, last)))
        return True

    def _attention(self, node: fx.Node) -> bool:
        names = ("query", "key", "value", "attn_mask", "dropout_p", "is_causal")
        query, key, value, mask, _, causal = (argument(node, place, name, None) for place, name in enumerate(names))
        if node.kwargs.get("enable_gqa") or node.kwargs.get("dropout_p", 0) or argument(node, 4, "dropout_p", 0):
            raise ValueError(f"{label_of(node)} drops values, or has enable_gqa; supported: neither")
        pieces = Pieces(self.list, node)
        held = self._all_held(pieces, query, key, value)
        if held is None:
            return False
        one, other, third = held
        scale = node.kwargs.get("scale")
        allowed = _allowed(node, mask)
        if causal:
            allowed = torch.ones(one.shape[-2], other.shape[-2]).tril() != 0
        pieces.end(attend(pieces, one, other, third, allowed, None if scale is None else float(scale)))  # type: ignore[arg-type]
        return True


_WHERE = ("condition", "input", "other")
_FILL = ("input", "mask", "value")
_QUIET = ("flatten", "view", "reshape", "squeeze", "contiguous", torch.flatten, torch.reshape, torch.squeeze, F.dropout)
_SOFTMAX_TYPES = (None, torch.float32, torch.float64)


def _others(pair: list[Any], values: list[bool]) -> list[Any]:
    return [part for part, is_value in zip(pair, values, strict=True) if not is_value]


def _line(node: fx.Node, constant: Any, *, first: bool, alpha: Any) -> tuple[Any, Any]:
    """What a value is multiplied by, and what is added; None and None where that is no line."""
    if node.target in _NEGATE:
        return -1.0, 0.0
    if node.target in _ADD:
        return (1.0, constant * alpha) if first else (alpha, constant)
    if node.target in _SUBTRACT:
        return (1.0, constant * -alpha) if first else (-alpha, constant)
    if node.target in _REVERSED:
        return -1.0, constant
    if node.target in _MULTIPLY:
        return constant, 0.0
    return (1 / constant, 0.0) if first else (None, None)


def _allowed(node: fx.Node, mask: Any) -> Tensor | None:
    """A mask of attention, True where a value counts: torch's own are True there for scaled_dot_product_attention, and
    not there for layers, or numbers that are added to the scores."""
    if mask is None:
        return None
    value = mask.meta[VALUE] if isinstance(mask, fx.Node) else mask
    if not isinstance(value, Tensor) or (isinstance(mask, fx.Node) and "placeholder" in str(mask.op)):
        raise ValueError(f"{label_of(node)} has a mask that is no constant; supported: constant masks")
    if value.dtype == torch.bool:
        return value if node.target is F.scaled_dot_product_attention else ~value
    if (allowed := _not_far_below(value)) is None:
        raise ValueError(
            f"{label_of(node)} adds numbers to its scores that are neither 0 nor -inf or below {_FAR_BELOW:,.0f}, or "
            "masks a whole row with them; supported: a mask of these"
        )
    return allowed


def _not_far_below(mask: Tensor) -> Tensor | None:
    """Which numbers of a mask that is added to scores are 0, where the others are so far below that their shares are
    zero; None for other numbers, and where a whole row is far below."""
    allowed = mask == 0
    if not bool((allowed | (mask <= _FAR_BELOW)).all()):
        return None
    return allowed if bool((mask == -math.inf)[~allowed].all()) or bool(allowed.any(-1).all()) else None
