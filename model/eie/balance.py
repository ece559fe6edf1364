"""Which row of a layer goes to which processing element, so that they all have the same to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.calibrate import float_rows
from zeroskip.model.eie.shared import SharedLayer
from zeroskip.model.network.stages import LinearStage, Stage

SAMPLES = 1024
"""Of the calibration data, so many tell well enough how often an activation is not zero."""


def balance(
    layers: Sequence[SharedLayer], stages: Sequence[Stage], calibration: NDArray[np.float32], pes: int
) -> tuple[list[SharedLayer], NDArray[np.uint32] | None]:
    """The layers with the rows of the last stage's, where these are fully connected, in another order, and so the
    columns of those behind them; and where the outputs stand then: output i of the network is value `order[i]` of the
    last stage (uint32, outputs). None where nothing was moved.

    A PE falls behind where it has more weights than the others in the columns that are broadcast together. So the rows
    are dealt out one by one, the heaviest first, each to the PE whose rows so far share the fewest columns with it; a
    column counts as often as its activation is not zero in `calibration` (samples x values).
    """
    balanced = list(layers)
    last = stages[-1]
    if not isinstance(last, LinearStage):
        return balanced, None
    passes = float_rows(layers, stages, calibration[:SAMPLES])
    columns = np.arange(layers[last.first].weight_codes.shape[1])
    for index in last.layers:
        layer = layers[index]
        often = (passes[index][0] != 0).mean(axis=0).astype(np.float32)
        rows = assign_rows(layer.weight_codes != 0, often, pes)
        bias = layer.bias_codes
        balanced[index] = dataclasses.replace(
            layer,
            weight_codes=np.ascontiguousarray(layer.weight_codes[np.ix_(rows, columns)]),
            bias_codes=None if bias is None else bias[rows],
        )
        columns = rows
    return balanced, np.argsort(columns).astype(np.uint32)


def assign_rows(weights: NDArray[np.bool_], often: NDArray[np.float32], pes: int) -> NDArray[np.intp]:
    """The row of a matrix (rows x columns) that comes to stand in each place; place k belongs to PE `k % pes`.

    Ties go to the first, so that the result depends on nothing else.
    """
    count = len(weights)
    room = (count - np.arange(pes) + pes - 1) // pes
    cost = weights * often
    # How many rows of each PE have a weight in each column.
    held = np.zeros((pes, weights.shape[1]), np.float32)
    owner = np.empty(count, np.intp)
    for row in np.argsort(-cost.sum(axis=1), kind="stable"):
        pe = int(np.where(room > 0, held @ cost[row], np.inf).argmin())
        owner[row] = pe
        room[pe] -= 1
        held[pe] += weights[row]
    # A PE's rows stand in their own order: by weight, the next layer would get its heaviest columns all at once.
    places = np.empty(count, np.intp)
    for pe in range(pes):
        places[pe::pes] = np.flatnonzero(owner == pe)
    return places
