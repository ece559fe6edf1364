"""Error feedback against least squares: what OBS defines, solved anew for each column."""

from __future__ import annotations

import numpy as np
import pytest

from zeroskip.model.network.error_feedback import DAMPENING, dampened, root_of_inverse, spread_errors


def moments(seed: int, columns: int) -> np.ndarray:
    """Those of inputs that depend on one another."""
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(3 * columns, columns)) @ random.normal(size=(columns, columns))
    return inputs.T @ inputs / len(inputs)


def by_least_squares(matrix: np.ndarray, seen: np.ndarray, done: int, fixed: np.ndarray) -> np.ndarray:
    """The columns from `done` on that minimise the error of the outputs, where those before are `fixed`."""
    off = fixed - matrix[:, :done]
    return matrix[:, done:] - off @ seen[:done, done:] @ np.linalg.inv(seen[done:, done:])


@pytest.mark.parametrize("size", [1, 3, 7])
def test_the_columns_that_are_left_are_the_best(size: int) -> None:
    matrix, seen = np.random.default_rng(size).normal(size=(4, 7)) * 3, moments(size, 7)
    met = []

    def rounded(column: int, values: np.ndarray) -> np.ndarray:
        met.append(values.copy())
        return np.rint(values)

    blocks = [slice(first, min(first + size, 7)) for first in range(0, 7, size)]
    found = spread_errors(matrix, root_of_inverse(seen), rounded, blocks=blocks)
    for column, values in enumerate(met):
        np.testing.assert_allclose(values, by_least_squares(matrix, seen, column, found[:, :column])[:, 0], rtol=1e-6)
    assert np.array_equal(found, np.rint(np.transpose(met)))


def test_blocks_begin_with_what_the_errors_before_left() -> None:
    matrix, seen = np.random.default_rng(0).normal(size=(2, 6)) * 3, moments(0, 6)
    begun = []
    found = spread_errors(
        matrix,
        root_of_inverse(seen),
        lambda column, values: np.rint(values),
        blocks=[slice(0, 4), slice(4, 6)],
        begin=lambda columns, values: begun.append((columns.start, values.copy())),
    )
    assert [start for start, _ in begun] == [0, 4]
    np.testing.assert_allclose(begun[0][1], matrix[:, :4])
    np.testing.assert_allclose(begun[1][1], by_least_squares(matrix, seen, 4, found[:, :4]), rtol=1e-6)


def test_many_columns_are_several_blocks() -> None:
    """As by default, more than BLOCK columns; with blocks of one column it is the same."""
    matrix, seen = np.random.default_rng(1).normal(size=(3, 300)), dampened(moments(1, 300), 300)
    root = root_of_inverse(seen)
    each = [slice(column, column + 1) for column in range(300)]
    one, other = (
        spread_errors(matrix, root, lambda column, values: np.rint(4 * values) / 4, blocks=blocks)
        for blocks in (None, each)
    )
    assert np.mean(one == other) > 0.99
    assert ((one - matrix) @ seen * (one - matrix)).sum() < 0.9 * ((np.rint(4 * matrix) / 4 - matrix) ** 2 @ seen).sum()


def test_the_root_is_that_of_the_inverse() -> None:
    seen = moments(2, 9)
    root = root_of_inverse(seen)
    np.testing.assert_allclose(root.T @ root @ seen, np.eye(9), atol=1e-6)
    assert np.array_equal(root, np.triu(root))


def test_dampening_leaves_moments_that_can_be_inverted() -> None:
    """An input that is always zero, two that are equal, and a constant of another size, which the mean leaves out."""
    seen = np.diag([0.0, 4.0, 4.0, 1e6])
    seen[1, 2] = seen[2, 1] = 4.0
    found = dampened(seen, 3)
    np.testing.assert_allclose(np.diag(found) - np.diag(seen), DAMPENING * 8 / 3, rtol=1e-6)
    assert np.isfinite(root_of_inverse(found)).all()
    with pytest.raises(ValueError, match=r"^the second moments of a layer's inputs must be positive definite, but"):
        root_of_inverse(seen)


def test_inputs_that_are_always_zero_count_alike() -> None:
    assert np.array_equal(dampened(np.diag([0.0, 0.0, 7.0]), 2), np.eye(3))
