"""A peer's side of the benchmark: runs one library in a process of its own, on request.

A process for each, because spconv is right with one thread only, and libraries bring their own thread pools. It reads
lines from standard input: the name of a step, and answers `> ` and its seconds; or `result FILE`, and saves the layer's
output there.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from zeroskip.model.sparseconv.bench.timing import seconds
from zeroskip.model.sparseconv.kernel import to_dense_weight

SIZE = (3, 3, 3)


class Spconv:
    """spconv: SubMConv3d, forward only, because its backward pass needs CUDA."""

    def __init__(self, coords: Tensor, feats: Tensor, weight: Tensor) -> None:
        import spconv.pytorch as spconv

        self.make = spconv.SparseConvTensor
        # Its layer takes contiguous indices only, and is silently wrong for others.
        self.coords, self.feats = coords.contiguous(), feats
        self.space = [int(top) + 1 for top in coords[:, 1:].max(dim=0).values]
        self.layer = spconv.SubMConv3d(*weight.shape[1:], 3, bias=False, indice_key="layer")
        # (out, in, 3, 3, 3) to (out, 3, 3, 3, in).
        self.layer.weight.data = to_dense_weight(weight, SIZE).movedim(1, -1).contiguous()
        with torch.no_grad():
            self.mapped = self.layer(self._tensor())

    def _tensor(self) -> Any:
        return self.make(self.feats, self.coords, self.space, 1)

    def conv(self) -> Tensor:
        """On the map that the first call has left."""
        tensor = self._tensor()
        tensor.indice_dict = self.mapped.indice_dict
        with torch.no_grad():
            return self.layer(tensor).features

    def end_to_end(self) -> Tensor:
        """Map and convolution."""
        with torch.no_grad():
            return self.layer(self._tensor()).features


class Open3d:
    """Open3D: its continuous convolution on the neighbours that a search finds, for given output positions."""

    def __init__(self, coords: Tensor, feats: Tensor, weight: Tensor) -> None:
        from open3d.ml.torch.layers import SparseConv

        self.positions, self.feats = coords[:, 1:].float() + 0.5, feats
        self.layer = SparseConv(*weight.shape[1:], [3, 3, 3], use_bias=False)
        # Its kernel is (z, y, x, in, out).
        dense = to_dense_weight(weight, SIZE)
        self.layer.kernel.data = dense.permute(4, 3, 2, 1, 0).contiguous()
        with torch.no_grad():
            self.end_to_end()
        self.found = self.layer.nns

    def end_to_end(self) -> Tensor:
        """Search and convolution."""
        with torch.no_grad():
            return self.layer(self.feats, self.positions, self.positions, voxel_size=1.0)

    def conv(self) -> Tensor:
        """The convolution alone: the search gives the answer that it gave before."""
        with self._searched():
            return self.end_to_end()

    @contextmanager
    def _searched(self) -> Iterator[None]:
        self.layer.fixed_radius_search.forward = lambda *_, **__: self.found
        try:
            yield
        finally:
            del self.layer.fixed_radius_search.forward

    def train(self) -> None:
        """Forward and backward, without the search."""
        feats = self.feats.clone().requires_grad_()
        self.layer.kernel.requires_grad_()
        with self._searched():
            sums = self.layer(feats, self.positions, self.positions, voxel_size=1.0)
        sums.backward(torch.ones_like(sums))


class Dense:
    """torch's dense conv3d on the scene's box, then the active voxels."""

    def __init__(self, coords: Tensor, feats: Tensor, weight: Tensor) -> None:
        self.coords, self.feats, self.weight = coords.long(), feats, to_dense_weight(weight, SIZE)
        self.shape = [int(top) + 1 for top in coords[:, 1:].max(dim=0).values]

    def end_to_end(self) -> Tensor:
        """Scatter, convolve, gather."""
        x, y, z = self.coords[:, 1:].unbind(dim=1)
        dense = torch.zeros(1, self.feats.shape[1], *self.shape)
        dense[0, :, x, y, z] = self.feats.T
        return torch.nn.functional.conv3d(dense, self.weight, padding=1)[0, :, x, y, z].T


PEERS: dict[str, Callable[[Tensor, Tensor, Tensor], Any]] = {"spconv": Spconv, "open3d": Open3d, "dense": Dense}


def serve(name: str, scene: str, threads: int) -> None:
    """Answer requests until standard input ends."""
    torch.set_num_threads(threads)
    with np.load(scene) as data:
        coords, feats, weight = (torch.from_numpy(data[key]) for key in ("coords", "feats", "weight"))
    peer = PEERS[name](coords, feats, weight)
    print("steps", *(step for step in ("conv", "end_to_end", "train") if hasattr(peer, step)), flush=True)
    for line in sys.stdin:
        request, _, file = line.strip().partition(" ")
        if request == "result":
            np.save(file, peer.end_to_end().detach().numpy())
            print("> saved", flush=True)
        else:
            run: Callable[[], object] = getattr(peer, request)
            print(">", seconds(run), flush=True)


if __name__ == "__main__":
    serve(sys.argv[1], sys.argv[2], int(sys.argv[3]))
