"""Einsum of two values: a product of matrices, after their dimensions were put in order."""

from __future__ import annotations

import math

from torch import Tensor

from zeroskip.model.network.pieces import Held, Pieces
from zeroskip.model.network.token_pieces import matrix_product


def einsum(pieces: Pieces, label: str, equation: str, one: Held, other: Held) -> Held:
    """What torch.einsum gives for `equation`, such as "bhid,bhjd->bhij". Raises ValueError for one that is no product
    of matrices of each sample."""
    terms, _, result = equation.replace(" ", "").partition("->")
    names = terms.split(",")
    if len(names) != 2 or not result or "." in equation or any(len(set(term)) < len(term) for term in (*names, result)):
        raise ValueError(
            f"{label} is an einsum of '{equation}'; supported: two values, each dimension once, with '->' and without "
            "'...', as in 'bhid,bhjd->bhij'"
        )
    left, right = names
    shared = [name for name in left if name in right and name in result]
    depth = [name for name in left if name in right and name not in result]
    rows = [name for name in left if name not in right]
    columns = [name for name in right if name not in left]
    if left[0] != right[0] or left[0] != result[0] or set(result) != {*shared, *rows, *columns}:
        raise ValueError(
            f"{label} is an einsum of '{equation}'; supported: those in which the samples are first everywhere, and a "
            "sum is over dimensions of both values"
        )
    sizes = dict(zip(left + right, one.shape + other.shape, strict=True))

    def in_order(given: Held, term: str, outer: list[str], inner: list[str]) -> Held:
        """(n, batch, outer, inner)."""
        order = [term.index(name) for name in (*shared, *outer, *inner)]
        count = math.prod(sizes[name] for name in outer)

        def move(value: Tensor) -> Tensor:
            flat = value.permute(order)
            return flat.reshape(len(value), math.prod(flat.shape[1 : len(shared)]), count, -1)

        return pieces.move(given, move)

    product = matrix_product(pieces, in_order(one, left, rows, depth), in_order(other, right, depth, columns))
    made = (*shared, *rows, *columns)
    order = [made.index(name) for name in result]
    return pieces.move(
        product, lambda value: value.reshape(len(value), *(sizes[name] for name in made[1:])).permute(order)
    )
