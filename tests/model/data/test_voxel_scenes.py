"""Synthetic scenes: the same in every run, and labelled by what their points lie on."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest

from zeroskip.model.data.voxel_scenes import CLASSES, Cloud, point_cloud, voxel_scene, voxels_of


def test_a_seed_is_a_scene() -> None:
    first, again, other = point_cloud(3), point_cloud(3), point_cloud(4)
    assert np.array_equal(first.points, again.points)
    assert np.array_equal(first.labels, again.labels)
    assert not np.array_equal(first.points[:100], other.points[:100])


@pytest.mark.parametrize("seed", range(5))
def test_every_class_is_in_every_scene(seed: int) -> None:
    scene = voxel_scene(seed)
    counts = np.bincount(scene.labels, minlength=len(CLASSES))
    assert (counts > 50).all()
    # A network that says "plane" everywhere is far from 90 %.
    assert counts.max() / counts.sum() < 0.8
    assert len(np.unique(scene.coords, axis=0)) == len(scene.coords)
    assert scene.coords.min(axis=0).tolist() == [0, 0, 0]


def test_spheres_are_round() -> None:
    """The points of a cloud's first sphere keep one distance from their centre, within the noise."""
    cloud = point_cloud(1)
    rows = np.flatnonzero(cloud.labels == 1)
    first = rows[np.cumsum(np.diff(rows, prepend=rows[0] - 1) > 1) == 0]
    points = cloud.points[first][:300]
    system = np.column_stack([2 * points, np.ones(len(points))])
    centre = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)[0][:3]
    distances = np.linalg.norm(points - centre, axis=1)
    assert 3 < distances.mean() < 6.2
    # The ground's tilt makes it a little less round.
    assert distances.std() < 0.35


def test_voxels_by_hand() -> None:
    points = np.array([[0.25, 0.5, 0.5], [0.75, 0.5, 0.0], [0.5, 0.5, 0.5], [2.0, 0.0, 0.0]])
    scene = voxels_of(Cloud(points=points, labels=np.array([3, 1, 1, 2])))
    assert scene.coords.tolist() == [[0, 0, 0], [2, 0, 0]]
    assert Counter(scene.labels.tolist()) == {1: 1, 2: 1}
    np.testing.assert_allclose(scene.feats, [[1, 0, 0, -1 / 6], [1, -0.5, -0.5, -0.5]], atol=1e-6)


def test_too_small() -> None:
    with pytest.raises(ValueError, match="at least 16 voxels, not 8"):
        point_cloud(0, 8)
