"""The backbone of CenterPoint: from a point cloud through strided sparse layers to a dense map seen from above.

The layers are those of the usual 3D detectors (SECOND, CenterPoint): submanifold ones on each level, strided ones with
padding between the levels, and a last one that halves the height. The map's channels are those of all heights.

Run it with: python examples/centerpoint_backbone.py
"""

import numpy as np
import torch
from torch import nn

from zeroskip.model.data.voxel_scenes import point_cloud
from zeroskip.sparseconv import SparseTensor
from zeroskip.sparseconv import nn as spnn
from zeroskip.sparseconv.utils.collate import sparse_collate
from zeroskip.sparseconv.utils.quantize import sparse_quantize


def block(inputs: int, outputs: int, size: int | tuple[int, ...] = 3, **arguments: object) -> nn.Sequential:
    norm = spnn.BatchNorm(outputs, eps=1e-3, momentum=0.01)
    return nn.Sequential(spnn.Conv3d(inputs, outputs, size, **arguments), norm, spnn.ReLU(True))


class CenterPointBackbone(nn.Module):
    """Takes voxels with coordinates (batch, z, y, x), as detectors have them."""

    def __init__(self, in_channels: int, channels: tuple[int, ...] = (16, 32, 64, 64), out_channels: int = 128) -> None:
        super().__init__()
        self.stem = block(in_channels, channels[0])
        levels, inputs = [], channels[0]
        for level, outputs in enumerate(channels):
            padding = (0, 1, 1) if level == len(channels) - 1 else 1
            down = [block(inputs, outputs, stride=2, padding=padding)] if level else []
            levels.append(nn.Sequential(*down, block(outputs, outputs), block(outputs, outputs)))
            inputs = outputs
        self.levels = nn.ModuleList(levels)
        self.flat = block(inputs, out_channels, (3, 1, 1), stride=(2, 1, 1))

    def forward(self, x: SparseTensor) -> torch.Tensor:
        """(batches, channels x heights, y, x)."""
        x = self.stem(x)
        for level in self.levels:
            x = level(x)
        dense = self.flat(x).dense()  # (batches, z, y, x, channels)
        return dense.permute(0, 4, 1, 2, 3).flatten(1, 2)


def voxels(seed: int) -> SparseTensor:
    """One scene; the features of a voxel are the place and the height of its first point."""
    points = point_cloud(seed).points
    points -= points.min(axis=0)
    coords, first = sparse_quantize(points, (0.5, 0.5, 0.5), return_index=True)
    feats = np.concatenate([points[first] - coords * 0.5, points[first, 2:] / 20], axis=1)
    return SparseTensor(feats.astype(np.float32), coords[:, ::-1])


def main() -> None:
    torch.manual_seed(0)
    batch = sparse_collate([voxels(0), voxels(1)])
    # The grid that the detector sees: its size decides the size of the map.
    batch.spatial_range = (2, 41, 96, 96)
    network = CenterPointBackbone(in_channels=4)
    seen_from_above = network(batch)
    print(f"{len(batch):,} voxels became a map {tuple(seen_from_above.shape)}")
    assert seen_from_above.shape == (2, 256, 12, 12)

    # Gradients reach the first layer.
    seen_from_above.square().mean().backward()
    assert network.stem[0].kernel.grad.abs().sum() > 0


if __name__ == "__main__":
    main()
