"""Draws the pictures of docs/explanations/sparseconv.md."""

from __future__ import annotations

import numpy as np
import torch
from tables import DOCS

from zeroskip.model.data.voxel_scenes import point_cloud, voxel_scene
from zeroskip.model.search.views.pictures import save_picture
from zeroskip.model.sparseconv.grouping import Grouping
from zeroskip.model.sparseconv.maps import submanifold_map
from zeroskip.model.sparseconv.pictures import of_dilation, of_map_sizes
from zeroskip.model.sparseconv.quantize import sparse_quantize


def slice_of_scene(seed: int, height: float) -> torch.Tensor:
    """Voxels (N, 3) of one layer of a scene, seen from above, with a batch index."""
    points = point_cloud(seed).points
    layer = points[np.floor(points[:, 2]) == height]
    coords = sparse_quantize(layer[:, :2])
    return torch.from_numpy(np.pad(coords - coords.min(axis=0), ((0, 0), (1, 0))))


def main() -> None:
    save_picture(of_dilation(slice_of_scene(5, 4)), DOCS / "images/dilation.png")
    scene = voxel_scene(0)
    coords = torch.from_numpy(np.pad(scene.coords, ((0, 0), (1, 0))))
    kmap = submanifold_map(coords, (3, 3, 3), (1, 1, 1))
    save_picture(of_map_sizes(kmap, Grouping(kind="adaptive", epsilon=0.3)), DOCS / "images/map-sizes.png")


if __name__ == "__main__":
    main()
