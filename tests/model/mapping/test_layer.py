"""Plans of layers: places in the memory, and what does not fit it."""

from __future__ import annotations

import numpy as np
import pytest
from support.point_clouds import cube, distinct_points, map_by_hand

from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mapping.keys import unpack
from zeroskip.model.mapping.layer import plan_layer

GEOMETRY = MapperGeometry(width=4, words=64, index_bits=7)
CLOUD = distinct_points(GEOMETRY, 150, seed=1)[:90]
"""23 words."""
OFFSETS = cube(3, 3)


def test_regions_do_not_meet() -> None:
    plan = plan_layer(CLOUD[:60], OFFSETS, GEOMETRY, outputs=CLOUD)
    own, ends = plan.sorts
    assert (own.base, own.target, own.spare) == (0, 0, 15 + 23)
    assert (ends.base, ends.target, ends.spare) == (15, 15, 15 + 23)
    assert plan.triples.tolist() == map_by_hand(CLOUD, CLOUD[:60], OFFSETS)


def test_strided_outputs_are_made_of_the_inputs() -> None:
    plan = plan_layer(CLOUD[:80], OFFSETS, GEOMETRY, strides=(2, 2, 2))
    own, ends = plan.sorts
    assert (ends.base, ends.target, ends.spare, ends.load) == (0, 20, 40, False)
    assert ends.source is own.found
    outputs = unpack(ends.found.keys, GEOMETRY)
    assert plan.triples.tolist() == map_by_hand(outputs, CLOUD[:80], OFFSETS)


def test_a_map_is_cut_where_its_triples_could_be_too_many() -> None:
    """Each offset can have a triple for each of 60 outputs: 180 are those of 3 offsets. 27 offsets are 9 times 3, or 13
    times 2 and one; the triples are the same."""
    whole = plan_layer(CLOUD, OFFSETS, GEOMETRY, outputs=CLOUD[:60], most_triples=27 * 60)
    assert whole.maps == (range(27),)
    for most, sizes in ((180, [3] * 9), (239, [3] * 9), (120, [2] * 13 + [1])):
        plan = plan_layer(CLOUD, OFFSETS, GEOMETRY, outputs=CLOUD[:60], most_triples=most)
        assert [len(part) for part in plan.maps] == sizes
        assert [offset for part in plan.maps for offset in part] == list(range(27))
        assert len(plan.cycles) == 2 + len(sizes)
        assert np.array_equal(plan.triples, whole.triples)
    with pytest.raises(ValueError, match="triples must be at least 60 for these points, not 59: an offset can have as"):
        plan_layer(CLOUD, OFFSETS, GEOMETRY, outputs=CLOUD[:60], most_triples=59)


def test_what_does_not_fit_is_refused() -> None:
    plan_layer(CLOUD, OFFSETS, GEOMETRY)
    with pytest.raises(ValueError, match="words must be at least 69 for these points, not 64: the lists of the layer"):
        plan_layer(CLOUD, OFFSETS, GEOMETRY, strides=(2, 2, 2))
    many = distinct_points(GEOMETRY, 400, seed=2)[:129]
    with pytest.raises(ValueError, match="indices of inputs must be from 0 to 127, not 128: a larger index_bits"):
        plan_layer(many, OFFSETS, MapperGeometry(width=4, index_bits=7))
    with pytest.raises(ValueError, match="offsets must be from 1 to 26, not 27"):
        plan_layer(CLOUD, OFFSETS, MapperGeometry(width=4, offsets=26))
    with pytest.raises(ValueError, match="outputs and strides must not both be given: strides find the outputs"):
        plan_layer(CLOUD, OFFSETS, GEOMETRY, outputs=CLOUD, strides=(1, 1, 1))
    with pytest.raises(ValueError, match="outputs must hold each point once, not the same in rows 2 and 5"):
        plan_layer(CLOUD, OFFSETS, GEOMETRY, outputs=np.concatenate([CLOUD[:5], CLOUD[2:3]]))
