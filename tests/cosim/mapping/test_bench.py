"""The benchmark of the mapping unit compares its triples with the software's, and notices a wrong one."""

from __future__ import annotations

import numpy as np
import torch

from zeroskip.cosim.mapping.bench import measure_unit
from zeroskip.model.progress import silent
from zeroskip.model.sparseconv.bench.scenes import surface
from zeroskip.model.sparseconv.functional import find_map
from zeroskip.model.sparseconv.kernel import kernel_offsets
from zeroskip.model.sparseconv.tensor import SparseTensor


def test_maps_and_cycles() -> None:
    coords = surface(100).coords
    kmap = find_map(SparseTensor(torch.zeros(100, 1), coords), 3)
    element = np.repeat(np.arange(27), kmap.sizes)
    expected = np.stack([element, kmap.inputs.numpy(), kmap.outputs.numpy()], axis=1).astype(np.int64)
    offsets = kernel_offsets((3, 3, 3))
    (row,) = measure_unit(coords.numpy(), offsets, expected, widths=(4,), seed=0, progress=silent)
    assert (row["equal"], row["model_equal"], row["triples"]) == (True, True, len(expected))
    # 27 offsets, two lists of 25 words, and the pipeline.
    assert 0 <= row["cycles"] - 27 * 50 < 20
    wrong = expected.copy()
    wrong[7, 1] += 1
    (row,) = measure_unit(coords.numpy(), offsets, wrong, widths=(4,), seed=0, progress=silent)
    assert (row["equal"], row["model_equal"]) == (False, True)
