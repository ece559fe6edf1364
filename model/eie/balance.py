"""Assigns the rows of fully connected layers to processing elements (PEs) so that their load is balanced."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.calibrate import float_rows
from zeroskip.model.eie.shared import SharedLayer
from zeroskip.model.network.stages import LinearStage, Stage

SAMPLES = 1024
"""Calibration samples by which the frequency of non-zero activations is measured; more change little."""


def balance(
    layers: Sequence[SharedLayer], stages: Sequence[Stage], calibration: NDArray[np.float32], pes: int
) -> tuple[list[SharedLayer], NDArray[np.uint32] | None]:
    """Reorders the rows of the fully connected layers of the last stage so that the load of `pes` PEs is balanced.

    Returns the layers, in which the columns follow the rows of the layer before, and the order of the outputs: output i
    of the network is value `order[i]` of the last stage (uint32, outputs). Without a fully connected last stage the
    layers stay as they are, and the order is None.

    All PEs wait for the PE with the most weights in the columns that are broadcast at the same time. The rows are
    assigned one at a time, those with the most work first, each to the PE whose rows share the fewest columns with it.
    A column is weighted by how often its activation is not zero in `calibration` (samples x values).
    """
    balanced = list(layers)
    last = stages[-1]
    if not isinstance(last, LinearStage):
        return balanced, None
    passes = float_rows(layers, stages, calibration[:SAMPLES])
    columns = np.arange(layers[last.first].weight_codes.shape[1])
    for index in last.layers:
        layer = layers[index]
        frequencies = (passes[index][0] != 0).mean(axis=0).astype(np.float32)
        rows = assign_rows(layer.weight_codes != 0, frequencies, pes)
        bias = layer.bias_codes
        balanced[index] = dataclasses.replace(
            layer,
            weight_codes=np.ascontiguousarray(layer.weight_codes[np.ix_(rows, columns)]),
            bias_codes=None if bias is None else bias[rows],
        )
        columns = rows
    return balanced, np.argsort(columns).astype(np.uint32)


def assign_rows(weights: NDArray[np.bool_], frequencies: NDArray[np.float32], pes: int) -> NDArray[np.intp]:
    """The row of a matrix (`weights`, rows x columns) that is stored at each place; place k belongs to PE `k % pes`.

    `frequencies` (columns) say how often each activation is not zero. Of equal choices the first is taken, so that the
    result depends on the arguments alone.
    """
    count = len(weights)
    free_places = (count - np.arange(pes) + pes - 1) // pes
    work = weights * frequencies
    # How many rows of each PE have a weight in each column.
    held = np.zeros((pes, weights.shape[1]), np.float32)
    owner = np.empty(count, np.intp)
    for row in np.argsort(-work.sum(axis=1), kind="stable"):
        pe = int(np.where(free_places > 0, held @ work[row], np.inf).argmin())
        owner[row] = pe
        free_places[pe] -= 1
        held[pe] += weights[row]
    # Within a PE the rows keep their order: sorted by work, the next layer's densest columns would be neighbours.
    places = np.empty(count, np.intp)
    for pe in range(pes):
        places[pe::pes] = np.flatnonzero(owner == pe)
    return places
