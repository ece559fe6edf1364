"""Normalisations that forward() writes by hand, traced as root mean square normalisations.

All divide a value by a root of the mean of its squares: RMSNorm multiplies x by rsqrt(mean(x^2) + eps), LayerNorm does
the same with the differences from the mean, whose mean square is the variance, and x / x.norm() has the sum of squares.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import fx
from torch.nn import functional as F

from zeroskip.model.network.calls import argument
from zeroskip.model.network.node_keys import VALUE

LARGEST_EPS = 1e-6
"""The largest `eps` that may be added to a root, or be its limit: here its square is added to the mean of the squares,
which is the same only if it hardly counts."""

_NORMS = ("norm", "linalg_norm", "linalg_vector_norm")
_KEEPDIM = {"mean": 2, "sum": 2, "var": 3, "std": 3, **dict.fromkeys(_NORMS, 3)}
"""The place of `keepdim` among the arguments of each function that reduces a value."""


@dataclass(frozen=True)
class _Squares:
    """`factor` times the mean of the squares of `value` over the dimensions `over`, plus `eps`. With `centred` they are
    the squares of the differences of `value` and its mean."""

    value: fx.Node
    over: tuple[int, ...]
    factor: float = 1.0
    eps: float = 0.0
    centred: bool = False


def product(one: Any, other: Any) -> Any:
    """The product of a value and the inverse of a root of its squares, as a normalisation; None for any other."""
    for value, scale in ((one, other), (other, one)):
        if _are_proxies(value, scale) and (squares := _inverse_root(scale.node)) is not None:
            return _normalised(value, squares)
    return None


def quotient(value: Any, root: Any, **options: Any) -> Any:
    """A value divided by a root of its squares, as a normalisation; None for any other quotient."""
    if options or not _are_proxies(value, root) or (squares := _root(root.node)) is None:
        return None
    return _normalised(value, squares)


def _are_proxies(*values: object) -> bool:
    return all(isinstance(value, fx.Proxy) and VALUE in value.node.meta for value in values)


def _normalised(value: Any, squares: _Squares) -> Any:
    """A value divided by the root of its squares; None if they are those of another value."""
    if not _are_of(squares, value.node):
        if _name(value.node) != "mul":
            return None
        # A gain times the value, which it was multiplied by before the division.
        parts = [value.tracer.proxy(part) if isinstance(part, fx.Node) else part for part in value.node.args]
        found = [isinstance(part, fx.Proxy) and _are_of(squares, part.node) for part in parts]
        return None if not any(found) else parts[1 - found.index(True)] * _normalised(parts[found.index(True)], squares)
    rank, over = value.dim(), squares.over
    width = math.prod(value.shape[dim] for dim in over)
    gain = torch.full((width,), 1 / math.sqrt(squares.factor), dtype=value.dtype)
    order = [*(dim for dim in range(rank) if dim not in over), *over]
    moved = value if order == [*range(rank)] else value.permute(order)
    flat = moved.flatten(rank - len(over)) if len(over) > 1 else moved
    normal = F.rms_norm(flat, (width,), gain, squares.eps / squares.factor)
    if len(over) > 1:
        normal = normal.reshape(moved.shape)
    return normal if moved is value else normal.permute([order.index(dim) for dim in range(rank)])


def _are_of(squares: _Squares, node: fx.Node) -> bool:
    if not squares.centred:
        return _same(squares.value, node)
    if _name(node) != "sub" or not _same(node.args[0], squares.value):
        return False
    mean = node.args[1]
    if not isinstance(mean, fx.Node) or _name(mean) != "mean":
        return False
    value, over = _reduced(mean)
    return over == squares.over and _same(value, squares.value)


def _same(one: Any, other: Any) -> bool:
    """Whether two nodes compute the same: forward() may write a difference twice."""
    if one is other or not isinstance(one, fx.Node) or not isinstance(other, fx.Node):
        return bool(one is other or (type(one) is type(other) and one == other))
    alike = one.op == other.op and one.target == other.target and one.kwargs == other.kwargs
    return alike and len(one.args) == len(other.args) and all(map(_same, one.args, other.args))


def _inverse_root(node: fx.Node) -> _Squares | None:
    name = _name(node)
    if name == "rsqrt" or (name == "pow" and node.args[1] == -0.5):
        return _squares(node.args[0])
    if name == "reciprocal":
        return _root(node.args[0])
    if name in ("truediv", "div") and node.args[0] == 1:
        return _root(node.args[1])
    return None


def _root(node: Any) -> _Squares | None:
    """A root of squares, plus a small number."""
    name = _name(node)
    if name == "sqrt" or (name == "pow" and node.args[1] == 0.5):
        return _squares(node.args[0])
    if name == "std" or name in _NORMS:
        return _reduced_squares(node)
    term, eps = _sum(node)
    found = _root(term) if 0 < eps <= LARGEST_EPS else None
    return None if found is None or found.eps else replace(found, eps=eps**2)


def _squares(node: Any) -> _Squares | None:
    """Squares, plus a number."""
    if _name(node) in ("mean", "sum", "var"):
        return _reduced_squares(node)
    term, eps = _sum(node)
    found = _squares(term) if eps > 0 else None
    return None if found is None or found.eps else replace(found, eps=eps)


def _reduced_squares(node: fx.Node) -> _Squares | None:
    """The squares that a mean or sum of products, a variance, a standard deviation or a Euclidean norm reduces."""
    name, (value, over) = _name(node), _reduced(node)
    if value is None:
        return None
    width = math.prod(value.meta[VALUE].shape[dim] for dim in over)
    if name in _NORMS:
        order = argument(node, 1, "p" if name == "norm" else "ord", None)
        return _Squares(value, over, width) if order in ("fro", 2, None) and "dtype" not in node.kwargs else None
    if name in ("var", "std"):
        correction = node.kwargs.get("correction", int(bool(argument(node, 2, "unbiased", True))))
        if not isinstance(correction, int) or not 0 <= correction < width:
            return None
        return _Squares(value, over, width / (width - correction), centred=True)
    if _name(value) != "mul" or not _same(*value.args) or not isinstance(value.args[0], fx.Node):
        return None
    return _Squares(value.args[0], over, width if name == "sum" else 1.0)


def _reduced(node: fx.Node) -> tuple[fx.Node | None, tuple[int, ...]]:
    """What a node reduces and over which dimensions of each sample, if it keeps them; else None."""
    name, value = str(_name(node)), node.args[0] if node.args else None
    given = argument(node, 2 if name in _NORMS else 1, "dim", None)
    dims = [given] if isinstance(given, int) else given
    if not isinstance(value, fx.Node) or not argument(node, _KEEPDIM[name], "keepdim", False):
        return None, ()
    if not isinstance(dims, list | tuple) or not dims or not all(type(dim) is int for dim in dims):
        return None, ()
    over = tuple(sorted({dim % value.meta[VALUE].dim() for dim in dims}))
    return (None, ()) if 0 in over else (value, over)


def _sum(node: Any) -> tuple[Any, float]:
    """The value and the number of their sum, in either order; else None."""
    if _name(node) == "add" and len(node.args) == 2 and not node.kwargs:
        for term, number in (node.args, node.args[::-1]):
            if isinstance(term, fx.Node) and isinstance(number, int | float):
                return term, float(number)
    return None, 0.0


def _name(node: Any) -> str | None:
    """The name of the function or method that a node calls: "add" for a sum, however it is written."""
    if not isinstance(node, fx.Node) or node.op not in ("call_function", "call_method"):
        return None
    return node.target if isinstance(node.target, str) else getattr(node.target, "__name__", None)
