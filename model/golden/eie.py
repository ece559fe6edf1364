"""Integer twin of the EIE array: what rtl.eie computes, bit for bit.

The arithmetic is that of the array in every step: exact products, `product_shift` bits dropped rounding down, sums that
saturate at `accumulator_bits` after every addition, contributions to a row in increasing column order with the bias
last, `saturate16(round_half_even(acc / 2**out_shift))`, ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
from numpy.typing import NDArray

from model.formats.bundle import EieNetwork
from model.formats.geometry import VALUE_BITS

VALUE_MAX = (1 << (VALUE_BITS - 1)) - 1
VALUE_MIN = -(1 << (VALUE_BITS - 1))


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRun:
    """One layer of a batch: its input and output activations (int16, images x inputs and images x outputs), and how
    many additions and how many outputs were saturated in each image (int64, images)."""

    inputs: NDArray[np.int16]
    outputs: NDArray[np.int16]
    saturated_sums: NDArray[np.int64]
    saturated_outputs: NDArray[np.int64]


def requantise(accumulators: NDArray[np.int64], shift: int, *, relu: bool) -> NDArray[np.int64]:
    """`round_half_even(accumulators / 2**shift)`, with zero for negative values where `relu`; not yet saturated."""
    unit = np.int64(1) << shift
    floor, rest = np.divmod(accumulators, unit)
    up = (2 * rest > unit) | ((2 * rest == unit) & (floor % 2 == 1))
    rounded = floor + up
    return np.maximum(rounded, 0) if relu else rounded


@numba.njit(parallel=True, cache=True)
def _accumulate(starts, columns, weights, activations, product_shift, highest, lowest, sums, saturated):
    """Saturating sums of the rows `starts` (CSR) of a sparse matrix, for each image of `activations`."""
    for image in numba.prange(activations.shape[0]):
        for row in range(len(starts) - 1):
            total = np.int64(0)
            for entry in range(starts[row], starts[row + 1]):
                total += (weights[entry] * activations[image, columns[entry]]) >> product_shift
                if total > highest:
                    total = highest
                    saturated[image] += 1
                elif total < lowest:
                    total = lowest
                    saturated[image] += 1
            sums[image, row] = total


def run(network: EieNetwork, inputs: NDArray[np.int16]) -> list[LayerRun]:
    """Runs a batch (int16, images x inputs) through the network; the results are the last layer's outputs."""
    geometry = network.geometry
    if inputs.ndim != 2 or inputs.shape[1] != network.layers[0].inputs or inputs.dtype != np.int16:
        raise ValueError(
            f"inputs must be int16 of images x {network.layers[0].inputs}, not {inputs.dtype} of {inputs.shape}"
        )
    highest = np.int64((1 << (geometry.accumulator_bits - 1)) - 1)
    runs, activations = [], inputs
    for index, layer in enumerate(network.layers):
        matrix = network.weights(index)
        rows, columns = np.nonzero(matrix)
        starts = np.searchsorted(rows, np.arange(layer.outputs + 1))
        extended = np.full((len(inputs), layer.columns), layer.bias_activation, np.int64)
        extended[:, : layer.inputs] = activations
        sums = np.zeros((len(inputs), layer.outputs), np.int64)
        saturated = np.zeros(len(inputs), np.int64)
        weights = matrix[rows, columns].astype(np.int64)
        _accumulate(starts, columns, weights, extended, geometry.product_shift, highest, -highest - 1, sums, saturated)
        rounded = requantise(sums, layer.out_shift(geometry), relu=layer.relu)
        outputs = np.clip(rounded, VALUE_MIN, VALUE_MAX).astype(np.int16)
        runs.append(
            LayerRun(
                inputs=activations,
                outputs=outputs,
                saturated_sums=saturated,
                saturated_outputs=(outputs != rounded).sum(axis=1),
            )
        )
        activations = outputs
    return runs
