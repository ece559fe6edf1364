"""The weights that cores multiply, in all layers that they run.

Searches have a list of their own, of Linear and Conv2d layers (zeroskip.model.pruning.masks.prunable_weights): whole
channels, costs of single layers and the like are defined for these alone.
"""

from __future__ import annotations

from torch import Tensor, nn

Transposed = nn.ConvTranspose1d | nn.ConvTranspose2d

Multiplying = nn.Linear | nn.Conv1d | nn.Conv2d | Transposed | nn.RNNBase | nn.RNNCellBase | nn.MultiheadAttention
"""Layers with such weights."""

KINDS = "Linear, Conv1d, Conv2d, ConvTranspose1d, ConvTranspose2d, RNN, LSTM, GRU, their cells, and MultiheadAttention"


def multiplying_layers(module: nn.Module) -> dict[str, Multiplying]:
    """These layers by name, in the order in which `module` holds them. The last product of a MultiheadAttention is a
    layer of its own, 'out_proj'."""
    return {name: layer for name, layer in module.named_modules() if isinstance(layer, Multiplying)}


def multiplied_weights(module: nn.Module) -> dict[str, Tensor]:
    """Their weights by parameter name ("0.weight", "lstm.weight_hh_l0"), in this order: (outputs, inputs, ...), but
    those of transposed convolutions (inputs, outputs, ...). A recurrent layer has two for each layer and direction,
    a MultiheadAttention one for queries, keys and values together, or three."""
    return {
        f"{name}.{key}".lstrip("."): getattr(layer, key)
        for name, layer in multiplying_layers(module).items()
        for key in weight_names(layer)
    }


def weight_names(layer: Multiplying) -> list[str]:
    """The names of a layer's weights, in torch's order."""
    if isinstance(layer, nn.RNNBase):
        parts = ("ih", "hh", "hr") if layer.proj_size else ("ih", "hh")
        ends = ("", "_reverse") if layer.bidirectional else ("",)
        return [f"weight_{part}_l{number}{end}" for number in range(layer.num_layers) for end in ends for part in parts]
    if isinstance(layer, nn.RNNCellBase):
        return ["weight_ih", "weight_hh"]
    if isinstance(layer, nn.MultiheadAttention):
        together = layer.in_proj_weight is not None
        return ["in_proj_weight"] if together else ["q_proj_weight", "k_proj_weight", "v_proj_weight"]
    return ["weight"]


def short_name(name: str) -> str:
    """The name by which users know a weight: that of its layer where it has one, "0" for "0.weight"."""
    layer, _, key = name.rpartition(".")
    return layer if key == "weight" else name
