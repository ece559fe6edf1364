"""Values that are several of each sample, as windows are: (samples * windows, ...)."""

from __future__ import annotations

import torch
from torch import fx, nn
from torch.nn import functional as F

from zeroskip.model.network.calls import label_of, target_name
from zeroskip.model.network.kinds import is_plain
from zeroskip.model.network.moving import is_move, is_reshape
from zeroskip.model.network.reading.activations import ACTIVATIONS, FUNCTIONS, SOFTMAXES
from zeroskip.model.network.reading.quiet import COPIES, DROPOUT_LAYERS, DROPOUTS
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.token_reading import OF_ROWS

_LAYERS = (
    *ACTIVATIONS,
    *DROPOUT_LAYERS,
    nn.ReLU,
    nn.ReLU6,
    nn.Identity,
    nn.Linear,
    nn.LayerNorm,
    nn.RMSNorm,
    nn.Softmax,
    nn.MultiheadAttention,
    nn.TransformerEncoder,
    nn.TransformerEncoderLayer,
)
_CALLS = {
    *FUNCTIONS,
    *SOFTMAXES,
    *DROPOUTS,
    *COPIES,
    *OF_ROWS,
    *(F.relu, torch.relu, "relu", F.relu6, F.linear, F.hardtanh, torch.clamp, "clamp"),
}
"""Layers and functions that compute each value by itself, or each row, or the rows of each value."""


def require_single(reading: Reading, node: fx.Node) -> None:
    """Raises ValueError where a node reads several values of each sample, and is none of what may."""
    several = [source for source in node.all_input_nodes if source in reading.list and reading.is_several(source)]
    if not several or is_move(reading.module, node) or is_reshape(node):
        return
    if node.op == "call_module":
        found = is_plain(reading.module.get_submodule(str(node.target)), *_LAYERS)
    else:
        found = node.target in _CALLS
    if not found:
        raise ValueError(
            f"{label_of(node)} is {target_name(node)} of values of shape {reading.shape(several[0])}, several for "
            "each sample; supported there: Linear, normalisations of rows, activations, softmax, matrix products, "
            "attention, sums and products, and operations that only move values"
        )
