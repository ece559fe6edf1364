"""Attention by its parts: layers for queries, keys and values, products of matrices, and a softmax between them."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.token_pieces import matrix_product, normalised, softmaxed


def attend(
    pieces: Pieces, query: Held, key: Held, value: Held, allowed: Tensor | None, scale: float | None = None
) -> Held:
    """softmax(query @ key.T * scale) @ value, of (n, ..., tokens, width); scores count where `allowed` is not zero."""
    scale = 1 / math.sqrt(query.shape[-1]) if scale is None else scale
    scores = matrix_product(pieces, query, pieces.move(key, lambda one: one.transpose(-2, -1)), scale)
    return matrix_product(pieces, softmaxed(pieces, scores, allowed), value)


def multi_head(pieces: Pieces, layer: nn.MultiheadAttention, given: Held, allowed: Tensor | None) -> Held:
    """The self-attention of nn.MultiheadAttention."""
    if not layer.batch_first or layer.in_proj_weight is None or layer.bias_k is not None or layer.add_zero_attn:
        raise ValueError(
            "an attention of nn.MultiheadAttention must have batch_first=True, kdim and vdim None, and neither "
            "add_bias_kv nor add_zero_attn"
        )
    tokens, width = given.shape[1:]
    heads = layer.num_heads
    together = nn.utils.skip_init(nn.Linear, width, 3 * width, bias=layer.in_proj_bias is not None)
    with torch.no_grad():
        together.weight.copy_(layer.in_proj_weight)
        if layer.in_proj_bias is not None:
            together.bias.copy_(layer.in_proj_bias)
    projected = pieces.linear(given, together)

    def part(number: int) -> Held:
        """(n, heads, tokens, width of a head)."""
        return pieces.move(
            projected,
            lambda value: value.view(-1, tokens, 3, heads, width // heads)[:, :, number].transpose(1, 2),
        )

    found = attend(pieces, part(0), part(1), part(2), allowed)
    joined = pieces.move(found, lambda value: value.transpose(1, 2).reshape(-1, tokens, width))
    return pieces.linear(joined, layer.out_proj)


def encode(pieces: Pieces, layer: nn.TransformerEncoderLayer, given: Held, allowed: Tensor | None) -> Held:
    """nn.TransformerEncoderLayer in eval mode."""

    def attended(value: Held) -> Held:
        return multi_head(pieces, layer.self_attn, value, allowed)

    def fed_forward(value: Held) -> Held:
        hidden = pieces.activation(pieces.linear(value, layer.linear1), _activation(layer.activation))
        return pieces.linear(hidden, layer.linear2)

    if layer.norm_first:
        given = pieces.add(given, attended(_norm(pieces, given, layer.norm1)))
        return pieces.add(given, fed_forward(_norm(pieces, given, layer.norm2)))
    given = _norm(pieces, pieces.add(given, attended(given)), layer.norm1)
    return _norm(pieces, pieces.add(given, fed_forward(given)), layer.norm2)


def encode_all(pieces: Pieces, encoder: nn.TransformerEncoder, given: Held, allowed: Tensor | None) -> Held:
    for layer in encoder.layers:
        if not isinstance(layer, nn.TransformerEncoderLayer):
            raise ValueError(f"a TransformerEncoder has a {type(layer).__name__}; supported: TransformerEncoderLayer")
        given = encode(pieces, layer, given, allowed)
    return given if encoder.norm is None else _norm(pieces, given, encoder.norm)


def _norm(pieces: Pieces, given: Held, norm: nn.Module) -> Held:
    assert isinstance(norm, nn.LayerNorm)
    shape = tuple(norm.normalized_shape)
    return normalised(pieces, given, shape, norm.eps, norm.weight, norm.bias, centred=True)


def _activation(function: object) -> str:
    if function is F.relu or isinstance(function, nn.ReLU):
        return "relu"
    if function is F.gelu or (isinstance(function, nn.GELU) and function.approximate == "none"):
        return "gelu"
    raise ValueError(f"a TransformerEncoderLayer has the activation {function}; supported: relu and gelu")
