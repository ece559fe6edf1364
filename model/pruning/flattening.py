"""Replaces `x.view(-1, 400)` by flattening, as the number is wrong once channels are removed."""

from __future__ import annotations

import copy
import math
from typing import Any

import torch
from torch import Tensor, fx, nn

from zeroskip.model.network.calls import view_sizes
from zeroskip.model.network.modes import in_mode
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.trace import trace


def replace_views(module: nn.Module, samples: Tensor | None = None) -> nn.Module:
    """The network with every reshape to (samples, a number) replaced by flattening, or `module` itself if there is
    none.

    The new network has the same layers, parameters and names, in training and in evaluation. Like
    zeroskip.model.network.fold.fold, it assumes that such a reshape is a flattening. With `samples` (n, ...), inputs of
    the network, its forward() may look at shapes; the new network does what it decides for theirs. A network that
    cannot be traced is returned unchanged.
    """
    codes, changed = {}, False
    for training in (False, True):
        with in_mode(module, training):
            graph = _graph(module, samples)
        if graph is None:
            return module
        for node in list(graph.nodes):
            if _flattens_by_number(node):
                _flatten(graph, node)
                changed = True
            elif not _takes_any_size(node):
                return module
        codes[training] = type(fx.GraphModule(module, graph)).forward
    return _FlatteningNetwork(module, codes) if changed else module


def _graph(module: nn.Module, samples: Tensor | None) -> fx.Graph | None:
    """The graph of the network in its mode, None where it cannot be traced."""
    try:
        return fx.Tracer().trace(module)
    except Exception:
        # Tracing runs the user's forward() on proxies of tensors, which can raise anything.
        if samples is None:
            return None
    with torch.random.fork_rng(devices=[]):
        try:
            # A copy: in train mode, running it changes the statistics of batch normalisation.
            graph = trace(copy.deepcopy(module), samples)
        except ValueError:
            return None
    # A tensor that forward() makes would be a constant, for these samples only.
    made = any(node.op == "get_attr" and str(node.target).startswith("_tensor_constant") for node in graph.nodes)
    return None if made else graph


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


def _is_reshape(node: fx.Node) -> bool:
    return node.op != "call_module" and node.target in (torch.reshape, "reshape", "view")


def _flattens_by_number(node: fx.Node) -> bool:
    if not _is_reshape(node):
        return False
    sizes = view_sizes(node)
    if len(sizes) != 2 or not isinstance(sizes[1], int) or sizes[1] == -1:
        return False
    shapes = _shapes(node)
    if shapes is not None:
        before, after = shapes
        return after == (before[0], math.prod(before[1:]))
    return sizes[0] == -1 or isinstance(sizes[0], fx.Node)


def _takes_any_size(node: fx.Node) -> bool:
    """Whether a node works for any number of samples: numbers of those that are known stand in reshapes alone."""
    if not _is_reshape(node) or _shapes(node) is None:
        return True
    sizes = view_sizes(node)
    return sizes[0] == -1 and all(isinstance(size, int) for size in sizes)


def _shapes(node: fx.Node) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    """The shapes before and after a reshape, None where they are not known."""
    if VALUE not in node.meta:
        return None
    return tuple(node.all_input_nodes[0].meta[VALUE].shape), tuple(node.meta[VALUE].shape)


def _flatten(graph: fx.Graph, node: fx.Node) -> None:
    with graph.inserting_before(node):
        flat = graph.call_function(torch.flatten, (node.all_input_nodes[0], 1))
    flat.meta.update(node.meta)
    node.replace_all_uses_with(flat)
    graph.erase_node(node)
