"""Replaces `x.view(-1, 400)` by flattening, as the number is wrong once channels are removed."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, fx, nn

from zeroskip.model.network.chain import view_sizes
from zeroskip.model.network.modes import in_mode


def replace_views(module: nn.Module) -> nn.Module:
    """The network with every reshape to (samples, a number) replaced by flattening, or `module` itself if there is
    none.

    The new network has the same layers, parameters and names, in training and in evaluation. Like
    zeroskip.model.network.fold.fold, it assumes that such a reshape is a flattening. A network that cannot be traced is
    returned unchanged.
    """
    codes, changed = {}, False
    for training in (False, True):
        with in_mode(module, training):
            try:
                graph = fx.Tracer().trace(module)
            except Exception:
                # Tracing runs the user's forward() on proxies of tensors, which can raise anything.
                return module
        for node in list(graph.nodes):
            if _flattens_by_number(node):
                _flatten(graph, node)
                changed = True
        codes[training] = type(fx.GraphModule(module, graph)).forward
    return _FlatteningNetwork(module, codes) if changed else module


class _FlatteningNetwork(nn.Module):
    """The layers of `module` with a new forward() for each mode, as dropout in forward() depends on the mode."""

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


def _flatten(graph: fx.Graph, node: fx.Node) -> None:
    with graph.inserting_before(node):
        flat = graph.call_function(torch.flatten, (node.all_input_nodes[0], 1))
    node.replace_all_uses_with(flat)
    graph.erase_node(node)
