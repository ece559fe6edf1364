"""Which row of a layer goes to which processing element, so that they all have the same to do."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from model.compiler.calibrate import float_activations
from model.pruning.sharing import SharedLayer


def balance(
    layers: Sequence[SharedLayer], calibration: NDArray[np.float32], pes: int
) -> tuple[list[SharedLayer], NDArray[np.uint32]]:
    """The layers with their rows, and the columns of the layers behind them, in another order, and where the last
    layer's outputs stand in it: output i of the network is activation `order[i]` (uint32, outputs).

    A PE falls behind where it has more weights than the others in the columns that are broadcast together. So the rows
    are dealt out one by one, the heaviest first, each to the PE whose rows so far share the fewest columns with it; a
    column counts as often as its activation is not zero in `calibration` (samples x inputs).
    """
    activations = float_activations(layers, calibration)
    columns: NDArray[np.intp] | None = None
    balanced = []
    for layer, values in zip(layers, activations, strict=False):
        often = (values != 0).mean(axis=0).astype(np.float32)
        rows = assign_rows(layer.weight_codes != 0, often, pes)
        codes = layer.weight_codes if columns is None else layer.weight_codes[:, columns]
        bias = layer.bias_codes
        balanced.append(
            dataclasses.replace(
                layer,
                weight_codes=np.ascontiguousarray(codes[rows]),
                bias_codes=None if bias is None else bias[rows],
            )
        )
        columns = rows
    return balanced, np.argsort(rows).astype(np.uint32)


def assign_rows(weights: NDArray[np.bool_], often: NDArray[np.float32], pes: int) -> NDArray[np.intp]:
    """The row of a matrix (rows x columns) that comes to stand in each place; place k belongs to PE `k % pes`.

    Ties go to the first, so that the result depends on nothing else.
    """
    count = len(weights)
    room = (count - np.arange(pes) + pes - 1) // pes
    cost = weights * often
    # How many rows of each PE have a weight in each column.
    held = np.zeros((pes, weights.shape[1]), np.float32)
    places = np.empty(count, np.intp)
    taken = np.zeros(pes, np.intp)
    for row in np.argsort(-cost.sum(axis=1), kind="stable"):
        shared = np.where(taken < room, held @ cost[row], np.inf)
        pe = int(shared.argmin())
        places[taken[pe] * pes + pe] = row
        taken[pe] += 1
        held[pe] += weights[row]
    return places
