"""Factors for channels that forward() expands to the size of the images which they multiply."""

from __future__ import annotations

import operator
from functools import partial

import torch
from torch import fx

from zeroskip.model.network.calls import label_of, target_name
from zeroskip.model.network.moving import moved
from zeroskip.model.network.reading.reading import Reading

EXPANSIONS = ("expand", "expand_as")
MULTIPLICATIONS = (operator.mul, operator.imul, torch.mul, torch.multiply, "mul", "mul_", "multiply")


def read_expanded(reading: Reading, node: fx.Node) -> None:
    """Adds the steps of factors that were expanded, for a node that does not multiply by them."""
    for source in reading.expanded.keys() & set(node.all_input_nodes):
        if node.target in MULTIPLICATIONS:
            continue
        if reading.shape(source) is None:
            raise ValueError(
                f"{label_of(source)} is {target_name(source)}, which {label_of(node)} reads; supported: factors "
                "for channels that are expanded for a product"
            )
        factors = reading.expanded.pop(source)
        reading.list.add(source, reading.list.moved(source, factors, partial(moved, reading.module, source)))


def is_expanded_gate(reading: Reading, node: fx.Node) -> bool:
    """Whether a node expands factors (samples, channels, 1, 1) to the size of images, for a product."""
    source = node.args[0]
    assert isinstance(source, fx.Node)
    before, after = reading.shape(source), reading.shape(node)
    return source in reading.list and (before is None or after is None or is_gate(after, before))


def is_gate(images: tuple[int, ...], factors: tuple[int, ...]) -> bool:
    """Whether values of the shape `factors` have one for each channel of `images`, which are larger."""
    ones = (1,) * (len(images) - 2)
    return len(images) in (3, 4) and factors == (*images[:2], *ones) and images != factors
