"""Small sparse networks in int8, and point clouds that they run on."""

from __future__ import annotations

import torch
from support.voxels import scene
from torch import nn

from zeroskip.model.network.pattern import DENSE, Pattern
from zeroskip.model.sparseconv import nn as spnn
from zeroskip.model.sparseconv.int8_network import quantise
from zeroskip.model.sparseconv.tensor import SparseTensor
from zeroskip.model.sparseconv.vectors import SparseVectors, make_vectors


def cloud(channels: int, extent: int = 9, share: float = 0.3, seed: int = 1) -> SparseTensor:
    """Voxels of two batches in random order, some of whose coordinates are negative."""
    random = torch.Generator().manual_seed(seed)
    coords = scene(random, [0, 2], [extent, extent, extent], share, least=-2)
    return SparseTensor(torch.randn(len(coords), channels, generator=random), coords)


def float_network(convention: str) -> nn.Sequential:
    """Three layers, the second of stride 2."""
    torch.manual_seed(11)
    padding = 1 if convention == "spconv" else 0
    return nn.Sequential(
        spnn.Conv3d(3, 8, 3, bias=True),
        spnn.BatchNorm(8),
        spnn.ReLU(),
        spnn.Conv3d(8, 12, 3, stride=2, padding=padding, convention=convention),
        spnn.ReLU(),
        spnn.Conv3d(12, 6, 3, bias=True),
    ).eval()


def network_vectors(
    *, convention: str = "minkowski", pattern: Pattern = DENSE, extent: int = 9, share: float = 0.3
) -> SparseVectors:
    """The vectors of that network on a cloud."""
    x = cloud(3, extent, share)
    network = quantise(float_network(convention), x, pattern=pattern)
    return make_vectors(network, network.quantise_input(x))
