"""Runs a compiled network on the golden model of the N:M tile, or on another implementation of its products."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.mma.bundle import PAD, MmaNetwork
from zeroskip.model.mma.convert import from_raw, to_raw
from zeroskip.model.mma.golden import gemm
from zeroskip.model.network.losses import Loss, joined
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage

Multiply = Callable[[int, NDArray[Any], NDArray[Any]], NDArray[Any]]
"""(layer, b, c) -> d: the product of a layer, in raw bits."""

BATCH_VALUES = 1 << 24
"""Values of B that are multiplied together, a limit on the memory for the patches of convolutions."""


@dataclass(frozen=True, kw_only=True, eq=False)
class NetworkRun:
    """`outputs` (float32, images x outputs), and what the tile's format lost of each layer's activations."""

    outputs: NDArray[np.float32]
    losses: list[Loss]

    @property
    def overflows(self) -> int:
        """Activations that became infinite in the tile's format."""
        return sum(loss.saturated for loss in self.losses)


def run(network: MmaNetwork, inputs: NDArray[np.float32], multiply: Multiply | None = None) -> NetworkRun:
    """Runs a batch (float32, images x values) through the network.

    `multiply` computes the products, by default with the golden model; everything else is computed here. Raises
    ValueError if the inputs do not fit."""
    if inputs.ndim != 2 or inputs.shape[1] != network.inputs or inputs.dtype != np.float32:
        raise ValueError(f"inputs must be float32 of images x {network.inputs}, not {inputs.dtype} of {inputs.shape}")
    if multiply is None:

        def multiply(layer: int, b: NDArray[Any], c: NDArray[Any]) -> NDArray[Any]:
            return gemm(network.operands[layer], b, c, network.geometry)

    size = batch_size(network)
    outputs: list[NDArray[np.float32]] = []
    losses: list[Loss] = []

    def multiply_stage(stage: Stage, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        rows, lost = run_stage(network, stage, rows, multiply)
        losses.extend(lost)
        return rows

    for first in range(0, len(inputs), size):
        outputs.append(
            run_stages(network.stages, inputs[first : first + size], multiply_stage, run_cell=network.run_cell)
        )
    return NetworkRun(outputs=np.concatenate(outputs), losses=joined(losses))


def batch_size(network: MmaNetwork) -> int:
    """Images that go through the network together."""
    widest = max(layer.columns * starts for layer, starts in zip(network.layers, network.starts, strict=True))
    return max(1, BATCH_VALUES // widest)


def run_stage(
    network: MmaNetwork, stage: Stage, rows: NDArray[np.float32], multiply: Multiply
) -> tuple[NDArray[np.float32], list[Loss]]:
    """Runs the layers of a stage on its rows (float32, rows x inputs): the last layer's results (float32, rows x
    outputs), and what the tile's format lost of each layer's activations."""
    geometry = network.geometry
    losses = []
    for index in stage.layers:
        layer, columns = network.layers[index], network.columns[index]
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.ldexp(rows, layer.input_exponent) if layer.input_exponent else rows
        raw = to_raw(np.ascontiguousarray(scaled), geometry.dtype)
        losses.append(_loss(index, rows, from_raw(raw, geometry.dtype)))
        b = np.where(columns[:, None] == PAD, raw.dtype.type(0), raw.T[columns])
        c = np.broadcast_to(network.biases[index][:, None], (layer.outputs, b.shape[1]))
        d = from_raw(multiply(index, b, c), geometry.out)
        if layer.sum_exponent:
            with np.errstate(over="ignore", under="ignore"):
                d = np.ldexp(d, -layer.sum_exponent)
        rows = np.maximum(d, 0).T if layer.relu else d.T
    return rows, losses


def _loss(layer: int, values: NDArray[np.float32], held: NDArray[np.float32]) -> Loss:
    """What is lost of activations in the tile's format."""
    present = int(np.count_nonzero(values))
    return Loss(
        layer=layer,
        what="activations",
        values=present,
        to_zero=present - int(np.count_nonzero(held)),
        saturated=int(np.count_nonzero(np.isinf(held))) - int(np.count_nonzero(np.isinf(values))),
    )
