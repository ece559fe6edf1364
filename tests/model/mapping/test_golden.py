"""The golden model against dictionaries and numpy's own unique."""

from __future__ import annotations

import numpy as np
import pytest
from support.point_clouds import cube, distinct_points, map_by_hand

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.golden import KeyList, kernel_map, mirrored, points, sort_keys, strided
from zeroskip.model.mapping.keys import unpack

GEOMETRIES = {
    1: MapperGeometry(dims=1, coordinate_bits=7, reach=6),
    2: MapperGeometry(dims=2, coordinate_bits=6, reach=6),
    3: MapperGeometry(),
    4: MapperGeometry(dims=4, coordinate_bits=10, reach=3),
}


@pytest.mark.parametrize("dims", GEOMETRIES)
@pytest.mark.parametrize(("size", "dilation"), [(1, 1), (3, 1), (3, 2), (5, 1)])
def test_maps_of_a_layer_that_keeps_its_points(dims: int, size: int, dilation: int) -> None:
    geometry = GEOMETRIES[dims]
    cloud = distinct_points(geometry, 150, seed=size + dilation)
    listed = sort_keys(points(cloud, geometry))
    offsets = cube(size, dims, dilation)

    found = kernel_map(listed, listed, offsets, geometry)
    assert found.tolist() == map_by_hand(cloud, cloud, offsets)
    middle = len(offsets) // 2
    assert (
        mirrored(kernel_map(listed, listed, offsets[: middle + 1], geometry), len(offsets)).tolist() == found.tolist()
    )


@pytest.mark.parametrize("dims", GEOMETRIES)
def test_maps_between_other_points(dims: int) -> None:
    geometry = GEOMETRIES[dims]
    outputs, inputs = distinct_points(geometry, 90, seed=1), distinct_points(geometry, 140, seed=2)
    lists = (sort_keys(points(cloud, geometry)) for cloud in (outputs, inputs))
    offsets = cube(3, dims)
    assert kernel_map(*lists, offsets, geometry).tolist() == map_by_hand(outputs, inputs, offsets)


def test_empty_lists_have_no_map() -> None:
    geometry = GEOMETRIES[2]
    some, none = (sort_keys(points(distinct_points(geometry, count), geometry)) for count in (20, 0))
    for outputs, inputs in ((some, none), (none, some), (none, none)):
        assert kernel_map(outputs, inputs, cube(3, 2), geometry).shape == (0, 3)
    assert kernel_map(some, some, np.zeros((0, 2), int), geometry).shape == (0, 3)


def test_sorting_is_stable_and_keeps_the_first() -> None:
    """Of equal keys the one with the lowest index comes first, and is the one that stays."""
    rng = np.random.default_rng(3)
    listed = KeyList(keys=rng.integers(0, 40, 200), indices=rng.permutation(200))
    pairs = sorted(zip(listed.keys.tolist(), listed.indices.tolist(), strict=True))

    done = sort_keys(listed)
    assert list(zip(done.keys.tolist(), done.indices.tolist(), strict=True)) == pairs
    once = sort_keys(listed, unique=True)
    least = {key: min(i for k, i in pairs if k == key) for key, _ in pairs}
    assert dict(zip(once.keys.tolist(), once.indices.tolist(), strict=True)) == least
    assert once.keys.tolist() == sorted(least)
    assert once.increasing
    assert not done.increasing
    numbered = sort_keys(listed, unique=True, renumber=True)
    assert numbered.indices.tolist() == list(range(len(least)))


@pytest.mark.parametrize("strides", [(2, 2, 2), (4, 1, 2), (1, 1, 1)])
def test_strided_points_are_the_multiples(strides: tuple[int, ...]) -> None:
    geometry = GEOMETRIES[3]
    cloud = distinct_points(geometry, 200, seed=5, spread=9)
    found = strided(points(cloud, geometry), strides, geometry)
    down = cloud.copy()
    down[:, 1:] = np.floor_divide(cloud[:, 1:], strides) * strides
    assert unpack(found.keys, geometry).tolist() == np.unique(down, axis=0).tolist()
    assert found.indices.tolist() == list(range(len(found)))


def test_lists_of_a_map_are_checked() -> None:
    geometry = MapperGeometry(index_bits=4)
    cloud = distinct_points(geometry, 12)
    unsorted = points(cloud, geometry)
    listed = sort_keys(unsorted)
    twice = sort_keys(points(np.concatenate([cloud[:4], cloud[:4]]), geometry))
    for wrong in (unsorted, twice):
        with pytest.raises(ValueError, match="outputs must be sorted and hold no key twice: use sort_keys"):
            kernel_map(wrong, listed, cube(3, 3), geometry)
        with pytest.raises(ValueError, match="inputs must be sorted and hold no key twice"):
            kernel_map(listed, wrong, cube(3, 3), geometry)
    large = KeyList(keys=listed.keys, indices=listed.indices + 10)
    with pytest.raises(
        ValueError, match=r"indices of inputs must be from 0 to 15, not 1[6-9]|2\d: a larger index_bits"
    ):
        kernel_map(listed, large, cube(3, 3), geometry)
    with pytest.raises(
        ValueError, match=r"keys and indices must be of one length, not of the shapes \(3,\) and \(2,\)"
    ):
        KeyList(keys=np.arange(3), indices=np.arange(2))
