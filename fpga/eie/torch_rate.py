"""The same network in torch on this machine's CPU, dense, in float32."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage

REPEATS = 11
"""The fastest of so many runs counts: the one that other work on the machine disturbed least."""


@dataclass(frozen=True, kw_only=True)
class TorchRate:
    """Images a second, all in one batch and one after the other, with `threads` threads."""

    together: float
    one_by_one: float
    threads: int

    def summary(self) -> dict[str, Any]:
        """As in the commands' JSON."""
        return {"together": self.together, "one_by_one": self.one_by_one, "threads": self.threads}


@torch.inference_mode()
def torch_rate(network: EieNetwork, inputs: NDArray[np.int16]) -> TorchRate:
    """Measures inference with the compiled network's weights. Pooling and the patches of convolutions are the
    host's work here as on the board. `inputs` are those of the first stage (int16, images x values)."""
    weights, biases = [], []
    for index, layer in enumerate(network.layers):
        matrix = network.weights(index).astype(np.float32) / 2.0**layer.weight_fraction
        weights.append(torch.from_numpy(np.ascontiguousarray(matrix[:, : layer.inputs])))
        one = 2.0**layer.bias_exponent
        biases.append(torch.from_numpy(matrix[:, layer.inputs] * one) if layer.bias else None)

    def run_stage(stage: Stage, rows: NDArray[Any]) -> NDArray[Any]:
        values = torch.from_numpy(np.ascontiguousarray(rows))
        for index in stage.layers:
            values = torch.nn.functional.linear(values, weights[index], biases[index])
            values = torch.relu_(values) if network.layers[index].relu else values
        return values.numpy()

    floats = inputs.astype(np.float32) / 2.0 ** network.layers[0].input_fraction

    def seconds(batches: list[NDArray[np.float32]]) -> float:
        measured = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            for batch in batches:
                run_stages(network.stages, batch, run_stage)
            measured.append(time.perf_counter() - begin)
        return min(measured)

    return TorchRate(
        together=len(floats) / seconds([floats]),
        one_by_one=len(floats) / seconds(list(floats[:, None])),
        threads=torch.get_num_threads(),
    )
