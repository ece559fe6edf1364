"""A whole MinkUNet on a scene: torchsparse's SparseResUNet42, forward, with all its maps found anew."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch

from zeroskip.model.sparseconv.backbones import SparseResUNet42
from zeroskip.model.sparseconv.bench.scenes import Scene
from zeroskip.model.sparseconv.bench.timing import in_turn, timed
from zeroskip.model.sparseconv.execution import execution
from zeroskip.model.sparseconv.tensor import SparseTensor

_WAYS = {"zeroskip": "auto", "torch": "reference"}


def measure_network(scene: Scene, *, repeats: int, seed: int) -> dict[str, Any]:
    """Medians in ms, here and by plain torch, and the largest difference relative to the largest output."""
    torch.manual_seed(seed)
    device = scene.coords.device
    network = SparseResUNet42(in_channels=4, width_multiplier=0.5).eval().to(device)
    feats = torch.randn(len(scene.coords), 4).to(device)

    def forward(how: str) -> torch.Tensor:
        with execution(how), torch.no_grad():
            return network(SparseTensor(feats, scene.coords))[-1].feats

    times = in_turn({name: timed(partial(forward, how)) for name, how in _WAYS.items()}, repeats)
    ours, plain = forward("auto"), forward("reference")
    return {
        "name": "SparseResUNet42, half width",
        "scene": scene.name,
        "voxels": len(scene.coords),
        "forward_ms": 1000 * times["zeroskip"],
        "torch_forward_ms": 1000 * times["torch"],
        "ratio": times["torch"] / times["zeroskip"],
        "error": float((ours - plain).abs().max() / plain.abs().max()),
    }
