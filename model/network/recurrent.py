"""Recurrent layers of torch by their parts: a layer of all steps' inputs, and one of the states, step by step."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from zeroskip.model.network.calls import label_of
from zeroskip.model.network.operations import Recurrent, recurrent
from zeroskip.model.network.pieces import Held, Pieces


def run_layers(pieces: Pieces, layer: nn.RNNBase, given: Held) -> tuple[Held, list[Held]]:
    """The states of the last layer (n, steps, hidden values of all directions), and the last state of each layer and
    direction (n, 1, hidden values). Raises ValueError for what is not supported."""
    label = label_of(pieces.node)
    if not layer.batch_first or layer.proj_size:
        raise ValueError(
            f"{label} has batch_first=False, or a proj_size; supported: batch_first=True without projection"
        )
    if len(given.shape) != 3:
        raise ValueError(f"{label} reads values of shape {given.shape}; supported: (samples, steps, values)")
    ends: list[Held] = []
    for number in range(layer.num_layers):
        found = []
        for suffix in (f"_l{number}", f"_l{number}_reverse")[: 1 + layer.bidirectional]:
            backwards = suffix.endswith("reverse")
            held = pieces.move(given, _turned) if backwards else given
            inputs, states = _parts(layer, suffix)
            made = pieces.recur(pieces.linear(held, inputs), states)
            ends.append(pieces.move(made, lambda value: value[:, -1:]))
            found.append(pieces.move(made, _turned) if backwards else made)
        given = found[0] if len(found) == 1 else _beside(pieces, found)
    return given, ends


def _turned(value: Tensor) -> Tensor:
    return value.flip(1)


def _beside(pieces: Pieces, found: list[Held]) -> Held:
    """Both directions' values of each step, one after the other."""
    joined = pieces.concat([pieces.move(one, lambda value: value.transpose(1, 2)) for one in found])
    return pieces.move(joined, lambda value: value.transpose(1, 2))


def _parts(layer: nn.RNNBase, suffix: str) -> tuple[nn.Linear, Recurrent]:
    """The layer of the inputs, and that of the states."""
    cell = {"LSTM": "lstm", "GRU": "gru", "RNN_TANH": "rnn_tanh", "RNN_RELU": "rnn_relu"}[layer.mode]
    weights = [getattr(layer, f"weight_{part}{suffix}").detach() for part in ("ih", "hh")]
    inputs = nn.utils.skip_init(nn.Linear, *weights[0].shape[::-1], bias=layer.bias).to(weights[0].dtype)
    states = recurrent(cell, *weights[1].shape[::-1], bias=layer.bias).to(weights[0].dtype)
    with torch.no_grad():
        for made, weight, part in zip((inputs, states), weights, ("ih", "hh"), strict=True):
            made.weight.copy_(weight)
            if layer.bias:
                made.bias.copy_(getattr(layer, f"bias_{part}{suffix}"))
    return inputs, states
