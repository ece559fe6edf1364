"""What the golden model and the cycle model say of a stage: what the array is compared with."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie import cycles as cycle_model
from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.network.losses import Loss
from zeroskip.model.network.stages import Stage


@dataclass(frozen=True, kw_only=True, eq=False)
class StageModels:
    """For each start of a stage: `outputs` (int16, starts x outputs), `layer_cycles` of each layer of the network
    (int64, starts x layers), and `cycles` from start to done (int64, starts). `saturated` and `losses` are those of a
    StageRun."""

    outputs: NDArray[np.int16]
    layer_cycles: NDArray[np.int64]
    cycles: NDArray[np.int64]
    saturated: dict[str, int]
    losses: list[Loss]


def run_models(network: EieNetwork, stage: Stage, rows: NDArray[np.int16]) -> StageModels:
    """Runs a stage on its rows (int16, starts x inputs)."""
    layers = []
    activations = rows
    for index in stage.layers:
        layers.append(golden.run_layer(network, index, activations))
        activations = layers[-1].outputs
    predicted = np.zeros((len(rows), len(network.layers)), np.int64)
    for index, layer in zip(stage.layers, layers, strict=True):
        predicted[:, index] = cycle_model.run_layer(network, index, layer.inputs)
    return StageModels(
        outputs=layers[-1].outputs,
        layer_cycles=predicted,
        cycles=predicted.sum(axis=1) + cycle_model.START_TO_DONE,
        saturated={
            "sums": sum(int(layer.saturated_sums.sum()) for layer in layers),
            "outputs": sum(int(layer.saturated_outputs.sum()) for layer in layers),
        },
        losses=golden.losses(layers, first=stage.layers.start),
    )
