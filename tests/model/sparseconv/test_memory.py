"""How much memory a layer needs at a million voxels, beside plain torch that gathers, multiplies and scatters."""

from __future__ import annotations

import subprocess
import sys

import pytest

GIB = 1 << 30

SCENE = """
import resource
import torch
from zeroskip.model.sparseconv.functional import conv, find_map
from zeroskip.model.sparseconv.tensor import SparseTensor

def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024

side = 1000
plane = torch.cartesian_prod(torch.arange(1), torch.arange(side), torch.arange(side)).int()
height = 40 * torch.sin(plane[:, 1] / 37) + 30 * torch.cos(plane[:, 2] / 53)
scene = SparseTensor(torch.randn(side * side, 32), torch.cat([plane, height.round().int()[:, None]], dim=1))
weight = torch.randn(27, 32, 64)
kmap = find_map(scene, 3)
before = peak()
"""

LAYERS = {
    "fused": "conv(scene, weight, 3)",
    "step": "conv(scene, weight.requires_grad_(), 3).feats.sum().backward()",
    # All gathered rows, all products, then all sums: three steps, each over the whole map.
    "gather-scatter": """
gathered = scene.feats[kmap.inputs]
products = torch.cat([part @ matrix for part, matrix in zip(gathered.split(kmap.sizes), weight)])
torch.zeros(side * side, 64).index_add_(0, kmap.outputs, products)
""",
    # One element of the kernel after the other: the least that gathering and scattering can do with.
    "by element": """
sums = torch.zeros(side * side, 64)
for element, matrix in enumerate(weight):
    inputs, outputs = kmap.pairs(element)
    sums.index_add_(0, outputs, scene.feats[inputs] @ matrix)
""",
}


def memory(layer: str) -> tuple[int, int]:
    """The peak of a process that runs the layer on a million voxels, and how far the layer raised it, in bytes."""
    program = f"{SCENE}{LAYERS[layer]}\nprint(peak(), peak() - before)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    whole, added = map(int, done.stdout.split())
    return whole, added


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss is in KiB on Linux alone")
def test_a_million_voxels() -> None:
    """The sums alone are 0.24 GiB: the fused layer adds little to them, gathering and scattering several times that."""
    sums = 1_000_000 * 64 * 4
    whole, added = memory("fused")
    assert whole < 4 * GIB
    assert 0.5 * sums < added < 1.25 * sums
    assert added < 0.7 * memory("by element")[1]
    assert added < 0.2 * memory("gather-scatter")[1]
    assert memory("step")[0] < 4 * GIB
