"""Between the points of a cost table: linear, as scipy interpolates; and where the points lie."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import RegularGridInterpolator

from zeroskip.model.search.costs.table import CostTable, LayerTable, _grid

FIRST = (0.1, 0.25, 0.5, 1.0)
SECOND = (0.05, 0.4, 1.0)


def test_one_axis_is_interpolated_and_held_at_its_ends() -> None:
    values = (2.0, 3.5, 3.5, 9.0)
    table = LayerTable(axes=(FIRST,), values=values)
    for density in (0.0, 0.01, 0.1, 0.17, 0.25, 0.3, 0.5, 0.51, 0.99, 1.0):
        assert table.at((density,)) == pytest.approx(np.interp(density, FIRST, values))


def test_two_axes_are_interpolated() -> None:
    values = np.cumsum(np.random.default_rng(1).random((4, 3)), axis=0).cumsum(axis=1)
    table = LayerTable(axes=(FIRST, SECOND), values=tuple(map(tuple, values.tolist())))
    expected = RegularGridInterpolator((FIRST, SECOND), values)
    points = np.random.default_rng(2).uniform([0.1, 0.05], 1, (50, 2))
    for point in [*points, *[(first, second) for first in FIRST for second in SECOND]]:
        assert table.at(tuple(point)) == pytest.approx(np.asarray(expected(point)).item())


def test_totals_take_layers_that_are_not_named_as_dense() -> None:
    layers = {
        "a": LayerTable(axes=((0.0, 1.0),), values=(0.0, 10.0)),
        "b": LayerTable(axes=((0.0, 1.0), (0.0, 1.0)), values=((0.0, 0.0), (0.0, 100.0))),
    }
    table = CostTable(cost="macs", layers=layers)
    assert table.dense == 110
    assert table.total({"a": (0.5,)}) == 105
    assert table.total({"b": (0.5, 0.2)}) == pytest.approx(20)
    assert table.total({"a": (0.1,), "b": (1.0, 0.5)}) == pytest.approx(51)
    assert table.layer("b", (0.5, 0.5)) == pytest.approx(25)


@pytest.mark.parametrize(
    ("size", "points", "at_once", "counts"),
    [
        (9, 3, None, [1, 5, 9]),
        (10, 4, None, [1, 4, 7, 10]),
        # Both sides of each jump; none behind the last channel.
        (10, 2, 4, [1, 4, 5, 8, 9, 10]),
        (8, 2, 4, [1, 4, 5, 8]),
        # Sixteen jumps, and no more.
        (40, 2, 2, [1, *range(2, 34), 40]),
        (40, 2, 1, [*range(1, 18), 40]),
    ],
)
def test_numbers_of_channels(size: int, points: int, at_once: int | None, counts: list[int]) -> None:
    grid = _grid(size, points, at_once)
    assert [round(density * size) for density in grid] == sorted(set(counts))
    assert np.allclose(np.array(grid) * size, np.round(np.array(grid) * size))


def test_what_is_proportional_has_two_points() -> None:
    assert _grid(7, None) == _grid(1, 5) == (0.0, 1.0)
