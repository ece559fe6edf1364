"""Integer twin of the EIE array: what zeroskip.rtl.eie computes, bit for bit.

The arithmetic is that of the array in every step: exact products, `product_shift` bits dropped rounding down, sums that
saturate at `accumulator_bits` after every addition, contributions to a row in increasing column order with the bias
last, `saturate16(round_half_even(acc / 2**out_shift))`, ReLU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numba
import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.rounding import VALUE_MAX, VALUE_MIN, round_half_even
from zeroskip.model.eie.sums import saturating_sums
from zeroskip.model.network.losses import Loss, joined
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.model.parallel import parallel


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerRun:
    """One layer of a batch: its input and output activations (int16, starts x inputs and starts x outputs), and how
    many sums and how many outputs were saturated in each start (int64, starts). A sum counts once, however many of its
    additions saturate. `sums` are the sums that should become outputs that are not zero: those above zero where there
    is a ReLU, else those that are not zero; of these, `vanished` are rounded to zero. A layer is started once for each
    image, that of a convolution once for each position of each image."""

    inputs: NDArray[np.int16]
    outputs: NDArray[np.int16]
    saturated_sums: NDArray[np.int64]
    saturated_outputs: NDArray[np.int64]
    sums: int
    vanished: int


def requantise(accumulators: NDArray[np.int64], shift: int, *, relu: bool) -> NDArray[np.int64]:
    """`round_half_even(accumulators / 2**shift)`, with zero for negative values where `relu`; not yet saturated. `run`
    computes the same as machine code."""
    rounded = round_half_even(accumulators, shift)
    return np.maximum(rounded, 0) if relu else rounded


@parallel
def _round(sums, shift, relu, outputs, saturated, counts):
    """Rounds sums and saturates them; `counts` (images x 2) are LayerRun.sums and `vanished` of each image."""
    half = (np.int64(1) << shift) >> 1
    for image in numba.prange(sums.shape[0]):
        for row in range(sums.shape[1]):
            total = sums[image, row]
            if total == 0 or (relu and total < 0):
                outputs[image, row] = 0
                continue
            floor = total >> shift
            rest = total - (floor << shift)
            if rest > half or (rest == half and half > 0 and floor & 1):
                floor += 1
            counts[image, 0] += 1
            counts[image, 1] += floor == 0
            held = min(max(floor, VALUE_MIN), VALUE_MAX)
            saturated[image] += held != floor
            outputs[image, row] = held


BLOCK = 1 << 22
"""Activations of the starts that are computed together, at most, which bounds the memory that they take."""


def run(network: EieNetwork, inputs: NDArray[np.int16]) -> list[LayerRun]:
    """Runs a batch (int16, images x inputs) through the network: what each layer computed, in the table's order."""
    return _run(network, inputs)[1]


def _run(network: EieNetwork, inputs: NDArray[np.int16]) -> tuple[NDArray[np.int16], list[LayerRun], list[Loss]]:
    """The outputs (int16, images x outputs, in the user's order), what each layer computed, and what the host lost."""
    if inputs.ndim != 2 or inputs.shape[1] != network.inputs or inputs.dtype != np.int16:
        raise ValueError(f"inputs must be int16 of images x {network.inputs}, not {inputs.dtype} of {inputs.shape}")
    runs: dict[int, list[LayerRun]] = {}
    lost: list[Loss] = []

    def run_stage(stage: Stage, rows: NDArray[np.int16]) -> NDArray[np.int16]:
        for index in stage.layers:
            runs.setdefault(index, []).append(run_layer(network, index, rows))
            rows = runs[index][-1].outputs
        return rows

    def run_host(index: int, given: list[NDArray[np.int16]]) -> NDArray[np.int16]:
        values, host = network.run_host(index, given)
        lost.extend(host)
        return values

    values = run_stages(network.stages, inputs, run_stage, run_host, network.run_cell)
    return values[:, network.order], [_of_steps(runs[index]) for index in sorted(runs)], lost


def _of_steps(runs: list[LayerRun]) -> LayerRun:
    """The runs of a layer in all steps of a recurrent stage as one, with the starts of each image one after another."""
    if len(runs) == 1:
        return runs[0]

    def by_image(name: str) -> NDArray[Any]:
        steps = np.stack([getattr(one, name) for one in runs], axis=1)
        return steps.reshape(-1, *steps.shape[2:])

    arrays = {name: by_image(name) for name in ("inputs", "outputs", "saturated_sums", "saturated_outputs")}
    return LayerRun(**arrays, sums=sum(one.sums for one in runs), vanished=sum(one.vanished for one in runs))


def outputs(network: EieNetwork, inputs: NDArray[np.int16], *, batch: int = 250) -> NDArray[np.int16]:
    """The outputs for many images (int16, images x outputs, in the user's order), without keeping those of the
    layers."""
    return outputs_and_losses(network, inputs, batch=batch)[0]


def outputs_and_losses(
    network: EieNetwork, inputs: NDArray[np.int16], *, batch: int = 250
) -> tuple[NDArray[np.int16], list[Loss]]:
    """The outputs for many images (int16, images x outputs), and what the layers and the host lost."""
    found: list[NDArray[np.int16]] = []
    lost: list[Loss] = []
    for first in range(0, len(inputs), batch):
        values, layers, host = _run(network, inputs[first : first + batch])
        found.append(values)
        lost += [*losses(layers), *host]
    return np.concatenate(found), joined(lost)


def run_layer(network: EieNetwork, index: int, activations: NDArray[np.int16]) -> LayerRun:
    """Runs layer `index` on its inputs (int16, starts x inputs)."""
    geometry, layer = network.geometry, network.layers[index]
    matrix = network.sparse_rows[index]
    highest = (1 << (geometry.accumulator_bits - 1)) - 1
    outputs = np.empty((len(activations), layer.outputs), np.int16)
    saturated = np.zeros(len(activations), np.int64)
    saturated_outputs = np.zeros(len(activations), np.int64)
    counts = np.zeros((len(activations), 2), np.int64)
    together = max(1, BLOCK // max(layer.columns, layer.outputs))
    for first in range(0, len(activations), together):
        block = slice(first, first + together)
        extended = np.full((len(activations[block]), layer.columns), layer.bias_activation, np.int16)
        extended[:, : layer.inputs] = activations[block]
        sums, saturated[block] = saturating_sums(matrix, extended, geometry.product_shift, highest)
        out_shift = layer.out_shift(geometry)
        _round(sums, out_shift, layer.relu, outputs[block], saturated_outputs[block], counts[block])
    total, vanished = counts.sum(axis=0).tolist()
    return LayerRun(
        inputs=activations,
        outputs=outputs,
        saturated_sums=saturated,
        saturated_outputs=saturated_outputs,
        sums=total,
        vanished=vanished,
    )


def losses(runs: list[LayerRun], *, first: int = 0) -> list[Loss]:
    """What layers of a network, from `first` on, lost, from what `run` returned."""
    found = []
    for index, layer in enumerate(runs, first):
        found += [
            Loss(
                layer=index,
                what="sums",
                values=layer.outputs.size,
                to_zero=0,
                saturated=int(layer.saturated_sums.sum()),
            ),
            Loss(
                layer=index,
                what="outputs",
                values=layer.sums,
                to_zero=layer.vanished,
                saturated=int(layer.saturated_outputs.sum()),
            ),
        ]
    return found
