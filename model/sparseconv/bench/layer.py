"""One submanifold layer of 3 x 3 x 3 on a scene, here and by plain torch: the same calls as those of a peer."""

from __future__ import annotations

import torch
from torch import Tensor

from zeroskip.model.sparseconv.bench.scenes import Scene
from zeroskip.model.sparseconv.execution import execution
from zeroskip.model.sparseconv.functional import conv3d, find_map
from zeroskip.model.sparseconv.tensor import SparseTensor

KERNEL = 3
STEPS = ("map", "conv", "end_to_end", "train")
"""The map alone; the convolution on a map that is there; both; and forward and backward on a map that is there."""


class Layer:
    """The layer by one execution of `zeroskip.sparseconv`: "auto", or "reference" for plain torch."""

    def __init__(self, scene: Scene, feats: Tensor, weight: Tensor, how: str) -> None:
        self.coords, self.feats, self.weight, self.how = scene.coords, feats, weight, how
        self.mapped = SparseTensor(feats, scene.coords)
        self.trained = SparseTensor(feats.clone().requires_grad_(), scene.coords)
        self.parameter = weight.clone().requires_grad_()
        with execution(how):
            self.kmap = find_map(self.mapped, KERNEL)
            find_map(self.trained, KERNEL)

    def map(self) -> object:
        """The kernel map of a new tensor."""
        with execution(self.how):
            return find_map(SparseTensor(self.feats, self.coords), KERNEL)

    def conv(self) -> SparseTensor:
        """The convolution, on the cached map."""
        with execution(self.how), torch.no_grad():
            return conv3d(self.mapped, self.weight, KERNEL)

    def end_to_end(self) -> SparseTensor:
        """Map and convolution of a new tensor."""
        with execution(self.how), torch.no_grad():
            return conv3d(SparseTensor(self.feats, self.coords), self.weight, KERNEL)

    def train(self) -> None:
        """Forward and backward, on the cached map: gradients of features and weights."""
        with execution(self.how):
            sums = conv3d(self.trained, self.parameter, KERNEL).feats
            sums.backward(torch.ones_like(sums))


def operands(scene: Scene, channels: tuple[int, int], seed: int) -> tuple[Tensor, Tensor]:
    """Random features (voxels, in) and weights (27, in, out), float32."""
    make = torch.Generator().manual_seed(seed)
    feats = torch.randn(len(scene.coords), channels[0], generator=make)
    weight = torch.randn(KERNEL**3, *channels, generator=make) / (KERNEL**3 * channels[0]) ** 0.5
    return feats.to(scene.coords.device), weight.to(scene.coords.device)
