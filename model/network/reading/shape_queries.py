"""Nodes that only ask for a shape."""

from __future__ import annotations

import operator

from torch import fx

from zeroskip.model.network.calls import argument
from zeroskip.model.network.reading.reading import Reading


def shape_query(reading: Reading, node: fx.Node) -> bool:
    """Whether the node only asks for a shape: `x.shape`, `x.size()`, `x.size(0)`, `x.shape[0]`. Where shapes are
    known there are no such nodes."""
    source = node.args[0] if node.args else None
    if node.op == "call_function" and node.target is getattr and node.args[1] == "shape":
        reading.shapes.add(node)
    elif node.op == "call_method" and node.target == "size":
        dimension = argument(node, 1, "dim", None)
        if dimension not in (None, 0):
            return False
        (reading.shapes if dimension is None else reading.sample_counts).add(node)
    elif node.op == "call_function" and node.target is operator.getitem and source in reading.shapes:
        if node.args[1] != 0:
            return False
        reading.sample_counts.add(node)
    else:
        return False
    return True
