"""Rounds or prunes a weight matrix column after column; the columns that are left make up for each error.

As in optimal brain surgeon (Hassibi and Stork, NeurIPS 1992), GPTQ (Frantar et al., ICLR 2023, section 3) and SparseGPT
(Frantar and Alistarh, ICML 2023, section 3). Let H be the second moments of a layer's inputs, and U the upper
triangular matrix with U^T U = H^-1, the transposed Cholesky factor. Where column j of the weights W becomes q, the
outputs change least, in the mean over the inputs, with

    W[:, k] -= (W[:, j] - q) * U[j, k] / U[j, j]        for all columns k > j.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]

DAMPENING = 0.01
"""This part of the mean of the diagonal is added to the diagonal of the moments, as in GPTQ: inputs that are always
zero, or that depend on one another, would otherwise leave them singular."""

BLOCK = 128
"""Columns whose errors reach the columns behind them together, in one product of matrices."""

Round = Callable[[int, Matrix], Matrix]
"""(number of a column, its values as they are now) -> the values that it gets."""

Begin = Callable[[slice, Matrix], None]
"""Told the columns of a block, and their values as they are now, before the first of them is rounded."""


def dampened(moments: Matrix, inputs: int) -> Matrix:
    """Second moments that can be inverted. The mean of the diagonal is that of the first `inputs`: what follows them,
    the activation of a bias, may be of another size. Where all inputs are always zero, nothing is known of them: each
    counts as much as any other."""
    found = moments.copy()
    mean = float(np.diag(moments)[:inputs].mean())
    if mean == 0:
        return np.eye(len(moments))
    found[np.diag_indices(len(found))] += DAMPENING * mean
    return found


def root_of_inverse(moments: Matrix) -> Matrix:
    """U of the inverse of dampened moments. Raises ValueError where they are too near to singular for that."""
    try:
        # From the last column to the first, the Cholesky factor of H itself gives that of its inverse, without
        # computing the inverse: H = R R^T with an upper triangular R, and U = R^-1.
        upper = np.linalg.cholesky(moments[::-1, ::-1])[::-1, ::-1]
        return np.triu(np.linalg.solve(upper, np.eye(len(upper))))
    except np.linalg.LinAlgError as error:
        raise ValueError(
            "the second moments of a layer's inputs must be positive definite, but their values differ too much in "
            "size; scale the network's inputs alike"
        ) from error


def spread_errors(
    matrix: Matrix,
    root: Matrix,
    rounded: Round,
    *,
    blocks: Sequence[slice] | None = None,
    begin: Begin = lambda columns, values: None,
) -> Matrix:
    """The matrix (outputs x columns) with each column `rounded`, after the errors of those before it have reached it.
    `root` is U. The `blocks` of columns follow one another, BLOCK columns each by default."""
    left = matrix.copy()
    count = left.shape[1]
    for columns in blocks or [slice(first, min(first + BLOCK, count)) for first in range(0, count, BLOCK)]:
        begin(columns, left[:, columns])
        errors = np.zeros((len(left), columns.stop - columns.start))
        for column in range(columns.start, columns.stop):
            becomes = rounded(column, left[:, column])
            error = (left[:, column] - becomes) / root[column, column]
            left[:, column] = becomes
            left[:, column + 1 : columns.stop] -= np.outer(error, root[column, column + 1 : columns.stop])
            errors[:, column - columns.start] = error
        left[:, columns.stop :] -= errors @ root[columns, columns.stop :]
    return left
