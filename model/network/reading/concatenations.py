"""Concatenations: along the channels, or along any dimension of each sample where shapes are known."""

from __future__ import annotations

import torch
from torch import fx

from zeroskip.model.network.calls import argument, label_of, target_name
from zeroskip.model.network.pieces import Pieces
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.reading.supported import SUPPORTED_IS
from zeroskip.model.network.steps import ConcatStep


def concatenation(reading: Reading, node: fx.Node) -> ConcatStep | None:
    given = argument(node, 0, "tensors", None)
    known = isinstance(given, tuple | list) and any(part in reading.list for part in given)
    if known and reading.shape(node) is not None:
        _joined_along(reading, node, list(given))  # type: ignore[call-overload]
        return None
    if not isinstance(given, tuple | list) or any(part not in reading.list for part in given):
        raise ValueError(
            f"{label_of(node)} is {target_name(node)} with something that it did not compute; {SUPPORTED_IS}"
        )
    parts = [part for part in given if isinstance(part, fx.Node)]
    dimension = argument(node, 1, "dim", node.kwargs.get("axis", 0))
    shape = reading.shape(parts[0])
    if dimension != 1 and (shape is None or not isinstance(dimension, int) or dimension % len(shape) != 1):
        raise ValueError(
            f"{label_of(node)} joins values along dimension {dimension}; supported: 1, that of channels and values"
        )
    return ConcatStep(**reading.about(node, *parts))


def _joined_along(reading: Reading, node: fx.Node, parts: list[fx.Node]) -> None:
    """The steps of a concatenation along any dimension of each sample, of values and constants."""
    dimension = argument(node, 1, "dim", node.kwargs.get("axis", 0))
    if not isinstance(dimension, int):
        raise ValueError(f"{label_of(node)} joins values along {dimension}; supported: a dimension")
    shape, stack = reading.shape(node), node.target is torch.stack
    assert shape is not None
    along = dimension % len(shape)
    if along == 0:
        raise ValueError(
            f"{label_of(node)} joins values along dimension {dimension}; supported: those of each sample, from 1 on"
        )
    if along == 1 and not stack and all(part in reading.list for part in parts):
        reading.list.add(node, ConcatStep(**reading.about(node, *parts)))
        return
    pieces = Pieces(reading.list, node)
    values = [part for part in parts if part in reading.list]
    if any(part not in reading.list and part not in reading.tokens.constants for part in parts):
        raise ValueError(f"{label_of(node)} joins values with something that it did not compute; {SUPPORTED_IS}")
    beside = pieces.held(values[0])
    held = [
        pieces.held(part) if part in reading.list else reading.tokens.constant_part(pieces, part, beside)
        for part in parts
    ]
    if stack:
        held = [pieces.move(part, lambda value: value.unsqueeze(along)) for part in held]
    if along > 1:
        held = [pieces.move(part, lambda value: value.movedim(along, 1)) for part in held]
    joined = pieces.concat(held)
    pieces.end(joined if along == 1 else pieces.move(joined, lambda value: value.movedim(1, along)))
