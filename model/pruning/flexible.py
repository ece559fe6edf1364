"""Networks that flatten by a number, `x.view(-1, 400)`, which is wrong once channels are removed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from zeroskip.model.network.chain import view_sizes
from zeroskip.model.network.modes import in_mode


def flexible(module: nn.Module) -> nn.Module:
    """`module` itself, or where it reshapes to (samples, a number) one that flattens whatever comes: with the same
    layers, parameters and names, trained and evaluated alike.

    Such a reshaping is taken for a flattening, as `zeroskip.model.network.fold.fold` takes it. What cannot be traced is
    returned as it is.
    """
    codes, changed = {}, False
    for training in (False, True):
        with in_mode(module, training):
            try:
                graph = fx.Tracer().trace(module)
            except Exception:
                # forward() is the user's code run on stand-ins for tensors: anything can come out of it.
                return module
        for node in list(graph.nodes):
            if _flattens_by_number(node):
                _free(graph, node)
                changed = True
        codes[training] = type(fx.GraphModule(module, graph)).forward
    return _Flexible(module, codes) if changed else module


class _Flexible(nn.Module):
    """The layers of `module` under a forward() of its own for either mode: dropout in forward() depends on it."""

    def __init__(self, module: nn.Module, codes: dict[bool, Any]):
        super().__init__()
        for kept in ("_parameters", "_buffers", "_non_persistent_buffers_set", "_modules"):
            getattr(self, kept).update(getattr(module, kept))
        self.training = module.training
        self._codes = codes

    def forward(self, x: Tensor) -> Tensor:
        return self._codes[self.training](self, x)


def _flattens_by_number(node: fx.Node) -> bool:
    if node.op == "call_module" or node.target not in (torch.reshape, "reshape", "view"):
        return False
    sizes = view_sizes(node)
    if len(sizes) != 2 or not isinstance(sizes[1], int) or sizes[1] == -1:
        return False
    return sizes[0] == -1 or isinstance(sizes[0], fx.Node)


def _free(graph: fx.Graph, node: fx.Node) -> None:
    with graph.inserting_before(node):
        flat = graph.call_function(torch.flatten, (node.all_input_nodes[0], 1))
    node.replace_all_uses_with(flat)
    graph.erase_node(node)
