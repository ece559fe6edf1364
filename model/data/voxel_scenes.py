"""Synthetic point clouds with a label for each point: planes, spheres, boxes and poles, seeded.

Lengths are in voxels. Nothing but the shape of its surroundings tells a point's class: classes share their heights, and
no feature names them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CLASSES = ("plane", "sphere", "box", "pole")
NOISE = 0.1
"""Standard deviation of points from their surfaces."""

Points = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True, eq=False)
class Cloud:
    """Points (n, 3) float64, and labels (n,) int64: places in `CLASSES`."""

    points: Points
    labels: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True, eq=False)
class VoxelScene:
    """Voxels of a cloud.

    `coords` (n, 3) int32, without a batch index, from 0 on. `feats` (n, 4) float32: one, and the mean place of the
    points within the voxel, each axis from -0.5 to 0.5. `labels` (n,) int64: the commonest of the voxel's points.
    """

    coords: NDArray[np.int32]
    feats: NDArray[np.float32]
    labels: NDArray[np.int64]


def point_cloud(seed: int, extent: int = 48) -> Cloud:
    """A ground of `extent` x `extent` that tilts, two walls, and spheres, boxes and poles on it."""
    if extent < 16:
        raise ValueError(f"extent must be at least 16 voxels, not {extent}")
    random = np.random.default_rng(seed)
    tilt = random.uniform(-0.06, 0.06, 2)
    makers: list[tuple[int, int, Callable[[np.random.Generator], Points]]] = [
        (0, 2, lambda random: _wall(random, extent)),
        (1, 3, _sphere),
        (2, 3, _box),
        (3, 4, _pole),
    ]
    clouds, labels = [_rectangle(extent, extent)], [0]
    for label, count, make in makers:
        for _ in range(count):
            place = random.uniform(0.15 * extent, 0.85 * extent, 2)
            clouds.append(make(random) + np.array([*place, 0.0]))
            labels.append(label)
    points = np.concatenate(clouds)
    points[:, 2] += points[:, :2] @ tilt
    points += random.normal(scale=NOISE, size=points.shape)
    inside = ((points[:, :2] >= 0) & (points[:, :2] < extent)).all(axis=1)
    of_points = np.repeat(np.array(labels, dtype=np.int64), [len(cloud) for cloud in clouds])
    return Cloud(points=points[inside], labels=of_points[inside])


def voxel_scene(seed: int, extent: int = 48) -> VoxelScene:
    """The voxels of `point_cloud(seed, extent)`."""
    return voxels_of(point_cloud(seed, extent))


def voxels_of(cloud: Cloud) -> VoxelScene:
    """Voxels of edge one, features and labels of a cloud."""
    points = cloud.points - np.floor(cloud.points.min(axis=0))
    places = np.floor(points).astype(np.int32)
    coords, rows = np.unique(places, axis=0, return_inverse=True)
    rows = rows.reshape(-1)
    counts = np.bincount(rows)
    within = [np.bincount(rows, weights=points[:, axis] - places[:, axis] - 0.5) / counts for axis in range(3)]
    votes = np.zeros((len(coords), len(CLASSES)), dtype=np.int64)
    np.add.at(votes, (rows, cloud.labels), 1)
    feats = np.stack([np.ones(len(coords)), *within], axis=1).astype(np.float32)
    return VoxelScene(coords=coords, feats=feats, labels=votes.argmax(axis=1))


def _rectangle(width: float, height: float) -> Points:
    """Points of a flat rectangle from the origin, half a voxel apart."""
    grid = np.meshgrid(np.arange(0, width, 0.5), np.arange(0, height, 0.5), [0.0], indexing="ij")
    return np.stack(grid, axis=-1).reshape(-1, 3)


def _wall(random: np.random.Generator, extent: int) -> Points:
    sheet = _rectangle(random.uniform(0.3, 0.6) * extent, random.uniform(6, 14))
    turn = random.uniform(0, np.pi)
    return np.stack([sheet[:, 0] * np.cos(turn), sheet[:, 0] * np.sin(turn), sheet[:, 1]], axis=1)


def _sphere(random: np.random.Generator) -> Points:
    radius = random.uniform(3, 6)
    count = int(4 * np.pi * radius**2 * 5)
    directions = random.normal(size=(count, 3))
    return radius * (directions / np.linalg.norm(directions, axis=1, keepdims=True) + [0, 0, 1])


def _box(random: np.random.Generator) -> Points:
    x, y, z = random.uniform(4, 10, 3)
    along_x, along_y, along_z = np.diag([x, y, z])
    top, side, front = _rectangle(x, y) + along_z, _rectangle(y, z)[:, [2, 0, 1]], _rectangle(x, z)[:, [0, 2, 1]]
    points = np.concatenate([top, side, side + along_x, front, front + along_y])
    turn = random.uniform(0, np.pi / 2)
    rotation = np.array([[np.cos(turn), np.sin(turn), 0], [-np.sin(turn), np.cos(turn), 0], [0, 0, 1]])
    return points @ rotation


def _pole(random: np.random.Generator) -> Points:
    radius, height = random.uniform(0.4, 1.0), random.uniform(8, 16)
    count = int(2 * np.pi * radius * height * 6)
    angle = random.uniform(0, 2 * np.pi, count)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), random.uniform(0, height, count)], axis=1)
