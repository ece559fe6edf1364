"""Keys: order, range and shifts, by the coordinates themselves."""

from typing import Any

import numpy as np
import pytest

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.keys import kept_bits, pack, shifts, unpack

GEOMETRIES = [
    MapperGeometry(dims=1, coordinate_bits=4, batch_bits=1, reach=2),
    MapperGeometry(dims=2, coordinate_bits=5, batch_bits=3, reach=8),
    MapperGeometry(),
    MapperGeometry(dims=4, coordinate_bits=14, batch_bits=6, reach=1),
]


def some_points(geometry: MapperGeometry, count: int, seed: int = 0) -> Any:
    """Random points; every second number is an end of its range."""
    rng = np.random.default_rng(seed)
    batch = rng.integers(0, geometry.batches, count)
    places = rng.integers(geometry.lowest, geometry.highest + 1, (count, geometry.dims))
    ends = rng.choice([geometry.lowest, geometry.highest], places.shape)
    return np.column_stack([batch, np.where(rng.random(places.shape) < 0.5, ends, places)])


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_keys_come_back_and_have_the_order_of_rows(geometry: MapperGeometry) -> None:
    points = some_points(geometry, 300)
    keys = pack(points, geometry)

    assert unpack(keys, geometry).tolist() == points.tolist()
    assert points[np.argsort(keys, kind="stable")].tolist() == sorted(points.tolist())
    assert keys.min() >= 0
    assert keys.max() < 1 << geometry.key_bits


@pytest.mark.parametrize("geometry", GEOMETRIES)
def test_a_shift_is_one_addition(geometry: MapperGeometry) -> None:
    """Also from the ends of the range, by as much as the reach: the moved points, beyond the range or not, have the
    keys that a geometry without a margin gives them."""
    points = some_points(geometry, 300)
    rng = np.random.default_rng(1)
    offsets = rng.integers(-geometry.reach, geometry.reach + 1, (20, geometry.dims))
    offsets[0], offsets[1] = geometry.reach, -geometry.reach
    half = 1 << (geometry.coordinate_bits - 1)
    for offset, shift in zip(offsets, shifts(offsets, geometry).tolist(), strict=True):
        moved = points.copy()
        moved[:, 1:] += offset
        by_hand = [0] * len(moved)
        for column, size in zip(moved.T, [1, *[2 * half] * geometry.dims], strict=True):
            bias = half if size > 1 else 0
            by_hand = [key * size + int(value) + bias for key, value in zip(by_hand, column, strict=True)]
        assert (pack(points, geometry) + shift).tolist() == by_hand


def test_the_range_is_checked() -> None:
    geometry = MapperGeometry(coordinate_bits=8, reach=3, batch_bits=2)
    assert (geometry.lowest, geometry.highest, geometry.batches) == (-125, 124, 4)
    pack(np.array([[3, -125, 124, 0]]), geometry)
    with pytest.raises(ValueError, match="coordinates must be from -125 to 124, not 125: a larger coordinate_bits"):
        pack(np.array([[0, 0, 0, 125]]), geometry)
    with pytest.raises(ValueError, match="coordinates must be from -125 to 124, not -126"):
        pack(np.array([[0, -126, 0, 0]]), geometry)
    with pytest.raises(ValueError, match="batch must be from 0 to 3, not 4: a larger batch_bits"):
        pack(np.array([[4, 0, 0, 0]]), geometry)
    with pytest.raises(ValueError, match="batch must be from 0 to 3, not -1"):
        pack(np.array([[-1, 0, 0, 0]]), geometry)
    with pytest.raises(ValueError, match="offsets must be from -3 to 3, not 4: a larger reach"):
        shifts([[0, 0, 4]], geometry)
    with pytest.raises(ValueError, match="coordinates must be from -125 to 124, not 9223372036854775808"):
        pack(np.array([[0, 0, 0, 1 << 63]], np.uint64), geometry)


def test_shapes_and_types_are_checked() -> None:
    geometry = MapperGeometry()
    with pytest.raises(TypeError, match="coordinates must be integers, not float64"):
        pack(np.zeros((2, 4)), geometry)
    with pytest.raises(ValueError, match=r"coordinates must be points x 4 \(batch first\), not \(2, 3\)"):
        pack(np.zeros((2, 3), int), geometry)
    with pytest.raises(ValueError, match=r"offsets must be count x 3, not \(3,\)"):
        shifts(np.zeros(3, int), geometry)
    with pytest.raises(TypeError, match="offsets must be integers, not float64"):
        shifts([[0.5, 0, 0]], geometry)  # type: ignore[list-item]
    assert pack(np.zeros((0, 4), int), geometry).shape == (0,)


@pytest.mark.parametrize("strides", [(1, 1, 1), (2, 2, 2), (4, 1, 8), (64, 2, 1)])
def test_kept_bits_round_down(strides: tuple[int, ...]) -> None:
    geometry = MapperGeometry(coordinate_bits=9, reach=5)
    points = some_points(geometry, 200)
    kept = unpack(pack(points, geometry) & kept_bits(strides, geometry), geometry)
    expected = points.copy()
    expected[:, 1:] = points[:, 1:] // strides * strides
    assert kept.tolist() == expected.tolist()


def test_strides_are_powers_of_two() -> None:
    geometry = MapperGeometry(coordinate_bits=6, reach=3)
    with pytest.raises(ValueError, match="strides must be powers of two below 32, not 3: the unit clears low bits"):
        kept_bits((1, 3, 1), geometry)
    with pytest.raises(ValueError, match="strides must be powers of two below 32, not 32"):
        kept_bits((1, 1, 32), geometry)
    with pytest.raises(ValueError, match="strides must be powers of two below 32, not 0"):
        kept_bits((0, 1, 1), geometry)
    with pytest.raises(ValueError, match="strides must have 3 numbers, not 2"):
        kept_bits((1, 1), geometry)
