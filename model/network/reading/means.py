"""Means over some dimensions."""

from __future__ import annotations

import math

from torch import Tensor, fx

from zeroskip.model.network.calls import argument, dimensions, label_of
from zeroskip.model.network.node_keys import PLACE, VALUE
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.steps import AveragePoolStep, FlattenStep, NetworkStep


def mean_steps(reading: Reading, node: fx.Node) -> list[NetworkStep]:
    """A mean over some dimensions: an average over images, and then the shape that torch gives."""
    if node.kwargs.get("dtype") is not None:
        raise ValueError(f"{label_of(node)} is a mean as {node.kwargs['dtype']}; supported: without a dtype")
    given = argument(node, 1, "dim", None)
    shape = reading.shape(reading.current)
    if shape is None or len(shape) == 4:
        listed = isinstance(given, tuple | list) and all(isinstance(size, int) for size in given)
        if listed and sorted(size % 4 for size in given) == [2, 3]:  # type: ignore[attr-defined]
            return _image_mean(reading, node)
    if shape is None:
        raise ValueError(
            f"{label_of(node)} is a mean over {given}; supported without samples of the input: height and width, "
            "(2, 3) or (-2, -1)"
        )
    over = dimensions(given, len(shape))
    if over is None or 0 in over:
        raise ValueError(
            f"{label_of(node)} is a mean over {given}; supported: over dimensions of each sample, which begin with 1"
        )
    kept = [dimension for dimension in range(1, len(shape)) if dimension not in over]
    channels, width = (math.prod(shape[dimension] for dimension in part) for part in (kept, over))
    assert reading.current is not None

    def as_images(value: Tensor) -> Tensor:
        return value.permute(0, *kept, *over).reshape(len(value), channels, 1, width)

    moved = reading.list.moved(node, reading.current, as_images)
    assert moved.output is not None
    number = len(reading.list.steps)
    averaged = moved.output.mean((2, 3), keepdim=True)
    about = {"label": label_of(node), "place": node.meta[PLACE]}
    value = node.meta[VALUE]
    return [
        moved,
        AveragePoolStep(**about, sources=(number,), output=averaged),
        reading.list.moved_from(node, number + 1, averaged, lambda given: given.reshape(value.shape)),
    ]


def _image_mean(reading: Reading, node: fx.Node) -> list[NetworkStep]:
    """A mean over height and width: global pooling, and without `keepdim` flattening."""
    about = reading.about(node)
    pooled = about["output"]
    if isinstance(pooled, Tensor):
        about["output"] = pooled.reshape(*pooled.shape[:2], 1, 1)
    pooling = AveragePoolStep(**about)
    if argument(node, 2, "keepdim", False):
        return [pooling]
    number = len(reading.list.steps)
    return [pooling, FlattenStep(**{**reading.about(node), "sources": (number,)}, width=None)]
