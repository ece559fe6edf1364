"""The mapping unit on a scene beside the software: the same map, cycles beside milliseconds."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from zeroskip.cosim.mapping.bench import measure_unit
from zeroskip.model.progress import Progress
from zeroskip.model.sparseconv.bench.scenes import Scene
from zeroskip.model.sparseconv.bench.timing import in_turn, timed
from zeroskip.model.sparseconv.functional import find_map
from zeroskip.model.sparseconv.kernel import kernel_offsets
from zeroskip.model.sparseconv.tensor import SparseTensor

_SIZE = (3, 3, 3)


def measure_units(
    scene: Scene, *, widths: Sequence[int], repeats: int, seed: int, progress: Progress
) -> list[dict[str, Any]]:
    """Rows of `measure_unit` for the submanifold map of 3 x 3 x 3 on a scene, and the software's time for it
    (`software_ms`, a median of `repeats`)."""
    feats = torch.zeros(len(scene.coords), 1)
    kmap = find_map(SparseTensor(feats, scene.coords), _SIZE)
    element = np.repeat(np.arange(kmap.volume), kmap.sizes)
    expected = np.stack([element, kmap.inputs.numpy(), kmap.outputs.numpy()], axis=1).astype(np.int64)
    rows = measure_unit(
        scene.coords.numpy(), kernel_offsets(_SIZE), expected, widths=widths, seed=seed, progress=progress
    )
    software = in_turn({"map": timed(lambda: find_map(SparseTensor(feats, scene.coords), _SIZE))}, repeats)
    return [{"scene": scene.name, **row, "software_ms": 1000 * software["map"]} for row in rows]
