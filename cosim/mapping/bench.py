"""The mapping unit on whole scenes: its triples beside the software's maps, its cycles beside the cycle model."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.mapping.play import run_layer
from zeroskip.model.mapping.layer_npz import LayerFile, fitted_geometry
from zeroskip.model.progress import Progress, Step

CLOCK = 100e6
"""Hz: a clock for the cycles, to compare them with the software's time."""


def measure_unit(
    coords: NDArray[Any],
    offsets: Sequence[Sequence[int]],
    expected: NDArray[np.int64],
    *,
    widths: Sequence[int],
    seed: int,
    progress: Progress,
) -> list[dict[str, Any]]:
    """The map of a submanifold layer on sorted points `coords` (points x 4) with units of these widths. `expected`
    (triples x 3) is the software's map: offset, input, output. `equal` says whether the unit found the same triples."""
    layer = LayerFile(inputs=np.asarray(coords), offsets=np.asarray(offsets), outputs=None, strides=None)
    rows = []
    for number, width in enumerate(widths):
        progress(Step(task=f"mapping unit, width {width}", done=number, total=len(widths)))
        start = time.monotonic()
        run = run_layer(layer.inputs, layer.offsets, fitted_geometry(layer, width=width), seed=seed)
        passes = 2 * len(layer.offsets) * -(-len(layer.inputs) // width)
        rows.append(
            {
                "width": width,
                "points": len(layer.inputs),
                "cycles": run.map_cycles,
                "sort_cycles": sum(run.sort_cycles),
                "over_ideal": run.map_cycles / passes - 1,
                "triples": len(run.triples),
                "equal": bool(np.array_equal(run.triples, expected)) and run.mismatches == 0,
                "model_equal": run.cycle_model_equal,
                "ms_at_100_mhz": 1000 * run.map_cycles / CLOCK,
                "seconds": time.monotonic() - start,
            }
        )
    return rows
