"""The message for an operation that reads a tensor of the network, which is not called as a layer."""

from __future__ import annotations

from torch import fx, nn

from zeroskip.model.network.calls import label_of, target_name
from zeroskip.model.network.kinds import torch_class
from zeroskip.model.network.reading.supported import SUPPORTED_IS

_WITH_WEIGHTS = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)


def own_tensor(network: nn.Module, node: fx.Node, tensor: str) -> str:
    """`tensor` is the name of what `node` reads."""
    if tensor.startswith("_tensor_constant"):
        return f"{label_of(node)} is {target_name(node)} with a tensor that forward() makes; {SUPPORTED_IS}"
    name = tensor.rpartition(".")[0]
    layer = network.get_submodule(name)
    kind = next((kind for kind in _WITH_WEIGHTS if isinstance(layer, kind)), None)
    if kind is not None and torch_class(layer) is None:
        return (
            f"layer '{name}' is a {type(layer).__name__}, which computes something else than {kind.__name__}; "
            f"{SUPPORTED_IS}"
        )
    return (
        f"{label_of(node)} is {target_name(node)} with the tensor '{tensor}'; only weights of layers that are "
        f"called as layers are {SUPPORTED_IS}"
    )
