"""A node of the traced graph: what it calls, its name for the user, and its arguments."""

from __future__ import annotations

import operator

from torch import fx


def view_sizes(node: fx.Node) -> tuple[object, ...]:
    """The sizes that a view or reshape names, as numbers or not."""
    sizes = node.args[1:] or (node.kwargs.get("shape"),)
    return tuple(sizes[0]) if len(sizes) == 1 and isinstance(sizes[0], tuple | list) else tuple(sizes)


def label_of(node: fx.Node) -> str:
    return f"layer '{node.target}'" if node.op == "call_module" else f"operation '{node.name}'"


def target_name(node: fx.Node) -> str:
    if node.target is getattr:
        return f"x.{node.args[1]}"
    if node.target is operator.getitem:
        return "x[...], a part of a value"
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", repr(node.target))


def argument(node: fx.Node, position: int, name: str, default: object) -> object:
    return node.args[position] if len(node.args) > position else node.kwargs.get(name, default)


def arguments(node: fx.Node, names: tuple[str, ...], defaults: tuple[object, ...]) -> list[object]:
    """The arguments after the first, which is the value."""
    return [argument(node, *option) for option in zip(range(1, len(names) + 1), names, defaults, strict=True)]


def dimensions(given: object, count: int) -> list[int] | None:
    """Dimensions that a function is told, from 0 to `count` - 1, all of them where it is told none; None where they are
    no numbers."""
    if given is None:
        return list(range(count))
    listed = [given] if isinstance(given, int) else given
    if not isinstance(listed, tuple | list) or not all(isinstance(one, int) for one in listed):
        return None
    return sorted({one % count for one in listed})
