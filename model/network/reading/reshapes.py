"""Flattenings and other reshapes."""

from __future__ import annotations

import math
from functools import partial

import torch
from torch import fx, nn

from zeroskip.model.network.calls import argument, label_of, target_name, view_sizes
from zeroskip.model.network.moving import is_reshape, moved
from zeroskip.model.network.node_keys import VALUE
from zeroskip.model.network.reading.gates import EXPANSIONS, MULTIPLICATIONS
from zeroskip.model.network.reading.reading import Reading
from zeroskip.model.network.reading.supported import SUPPORTED
from zeroskip.model.network.steps import FlattenStep, MoveStep
from zeroskip.model.network.trace import SIZES


def reshape(reading: Reading, node: fx.Node) -> FlattenStep | MoveStep | None:
    """A flattening, another shape, or a reshape that changes nothing."""
    before, after = reading.shape(reading.current), reading.shape(node)
    if before is None or after is None:
        return _unknown_reshape(reading, node)
    if after == before:
        return None
    if after == before[:1]:
        # One value of each sample, (samples,), is kept as (samples, 1).
        return FlattenStep(**reading.about(node), width=1)
    # Also (samples, values, 1), on the way of a squeeze(-1).squeeze(-1), and the factors of a product.
    single = before[0] == after[0] == SIZES[1]
    flat = single and after[:2] == (before[0], math.prod(before[1:])) and all(size == 1 for size in after[2:])
    if not flat or (len(after) > 2 and not all(_takes_flat(user) for user in node.users)):
        assert reading.current is not None
        return reading.list.moved(node, reading.current, partial(moved, reading.module, node))
    about = {**reading.about(node), "output": node.meta[VALUE].flatten(1)}
    return FlattenStep(**about, width=after[1])


def _takes_flat(node: fx.Node) -> bool:
    """Whether a node reads values (samples, values, 1, ...) that are at hand as flat ones all the same."""
    return node.target in MULTIPLICATIONS or node.target in EXPANSIONS or is_reshape(node) or node.op == "output"


def _unknown_reshape(reading: Reading, node: fx.Node) -> FlattenStep:
    if node.op == "call_module":
        module = reading.module.get_submodule(str(node.target))
        if isinstance(module, nn.Unflatten):
            if module.dim != 1 or tuple(module.unflattened_size)[1:] != (1, 1):
                raise ValueError(
                    f"{label_of(node)} unflattens dimension {module.dim} to {module.unflattened_size}; supported: "
                    "1, to (channels, 1, 1), for the factors of a product"
                )
            reading.factors.add(node)
            return FlattenStep(**reading.about(node), width=None)
        _require_flatten(node, module.start_dim, module.end_dim)
        return FlattenStep(**reading.about(node), width=None)
    if node.target in (torch.flatten, "flatten"):
        _require_flatten(node, argument(node, 1, "start_dim", 0), argument(node, 2, "end_dim", -1))
        return FlattenStep(**reading.about(node), width=None)
    if node.target in (torch.reshape, "reshape", "view"):
        return FlattenStep(**reading.about(node), width=_view_width(reading, node))
    raise ValueError(f"{label_of(node)} is {target_name(node)}; supported: {SUPPORTED}")


def _view_width(reading: Reading, node: fx.Node) -> int | None:
    """The width in `view(n, width)`, None where it is -1."""
    sizes = view_sizes(node)
    samples_kept = sizes[2:] in ((), (1, 1)) and (sizes[0] == -1 or sizes[0] in reading.sample_counts)
    if len(sizes) < 2 or not samples_kept or not isinstance(sizes[1], int):
        raise ValueError(
            f"{label_of(node)} reshapes to {tuple(sizes)}; supported: (samples, -1), (samples, width) and, for the "
            "factors of a product, (samples, width, 1, 1)"
        )
    if len(sizes) == 4:
        reading.factors.add(node)
    return None if sizes[1] == -1 else sizes[1]


def _require_flatten(node: fx.Node, start: object, end: object) -> None:
    if (start, end) != (1, -1):
        raise ValueError(f"{label_of(node)} flattens dimensions {start} to {end}; supported: 1 to -1")
