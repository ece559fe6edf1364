"""Operations that join values: additions and products; concatenations have a file of their own."""

from __future__ import annotations

import operator
from typing import Any

import torch
from torch import fx

from zeroskip.model.network.calls import argument, label_of, target_name
from zeroskip.model.network.reading.concatenations import concatenation
from zeroskip.model.network.reading.gates import MULTIPLICATIONS, is_gate
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.steps import AddStep, MultiplyStep, NetworkStep

_ADDITIONS = (operator.add, operator.iadd, torch.add, "add", "add_")
CONCATENATIONS = (torch.cat, torch.concat, torch.concatenate, torch.stack)


def joined(reading: Reading, node: fx.Node) -> NetworkStep | None:
    """The step of an operation that reads several values; None for a node that reads one."""
    if node.op != "call_module" and node.target in _ADDITIONS:
        return _addition(reading, node)
    if node.op != "call_module" and node.target in MULTIPLICATIONS:
        return _multiplication(reading, node)
    if node.op != "call_module" and node.target in CONCATENATIONS:
        return concatenation(reading, node)
    inputs = reading.inputs(node)
    if len(inputs) > 1:
        names = " and ".join(f"'{value.name}'" for value in inputs)
        raise ValueError(
            f"{label_of(node)} is {target_name(node)}, which joins {names}; values are joined by additions, "
            "products and concatenations alone"
        )
    return None


def _both(reading: Reading, node: fx.Node, supported: str) -> tuple[fx.Node, fx.Node]:
    """The two values of the network that an operation joins."""
    given = [argument(node, 0, "input", None), argument(node, 1, "other", None)]
    parts = [part for part in given if isinstance(part, fx.Node) and part in reading.list]
    if len(parts) != 2:
        raise ValueError(
            f"{label_of(node)} is {target_name(node)} with something that the network did not compute; supported: "
            f"{supported}"
        )
    return parts[0], parts[1]


def _addition(reading: Reading, node: fx.Node) -> AddStep:
    parts = _both(reading, node, "the sum of two values (add a constant to the bias of a layer instead)")
    if argument(node, 2, "alpha", 1) != 1 or node.kwargs.get("out") is not None:
        raise ValueError(f"{label_of(node)} has an alpha, or an out; supported: the plain sum of two values")
    return AddStep(**_about_pair(reading, node, parts))


def _multiplication(reading: Reading, node: fx.Node) -> MultiplyStep:
    supported = "the product of two values (multiply the weights of a layer by a constant instead)"
    one, other = (reading.expanded.get(part, part) for part in _both(reading, node, supported))
    if node.kwargs.get("out") is not None:
        raise ValueError(f"{label_of(node)} has an out; supported: the plain product of two values")
    first, second = reading.shape(one), reading.shape(other)
    if first is None or second is None:
        if one in reading.factors:
            one, other = other, one
        return MultiplyStep(**reading.about(node, one, other), gate=True if other in reading.factors else None)
    if reading.is_several(node):
        return MultiplyStep(**_about_pair(reading, node, (one, other)), gate=False)
    if is_gate(second, first):
        one, other, first, second = other, one, second, first
    if is_gate(first, second):
        return MultiplyStep(**reading.about(node, one, other, images=True), gate=True)
    return MultiplyStep(**_about_pair(reading, node, (one, other)), gate=False)


def _about_pair(reading: Reading, node: fx.Node, parts: tuple[fx.Node, fx.Node]) -> dict[str, Any]:
    """As `Reading.about`, of two values that torch broadcasts to the same shape."""
    shapes = [reading.shape(part) for part in parts]
    result = reading.shape(node)
    if None in shapes or result is None or shapes[0] == shapes[1]:
        return reading.about(node, *parts)
    sources = []
    for part, shape in zip(parts, shapes, strict=True):
        assert shape is not None
        if len(shape) != len(result):
            raise ValueError(
                f"{label_of(node)} joins values of the shapes {shapes[0]} and {shapes[1]}; supported: values of as "
                "many dimensions, the first of which is that of the samples"
            )
        sources.append(reading.list.expanded(node, part, result))
    return {**reading.list.about(node), "sources": tuple(sources)}
