"""The same network in torch on this machine's CPU, dense, in float32."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage
from zeroskip.model.warned import warn

REPEATS = 11
"""The fastest of so many runs counts: the one that other work on the machine disturbed least."""

DISTURBED = 2
"""One batch takes less than so many times the time of single images, unless threads wait for a busy core."""


@dataclass(frozen=True, kw_only=True, eq=False)
class DenseLayer:
    """`weights` (float32, outputs x inputs) and `bias` (float32, outputs) of a layer as it was compiled."""

    weights: NDArray[np.float32]
    bias: NDArray[np.float32] | None
    relu: bool


@dataclass(frozen=True, kw_only=True)
class TorchRate:
    """Images a second, all in one batch and one after the other, with `threads` threads."""

    together: float
    one_by_one: float
    threads: int

    def summary(self) -> dict[str, Any]:
        """As in the commands' JSON."""
        return {"together": self.together, "one_by_one": self.one_by_one, "threads": self.threads}


def torch_rate(stages: Sequence[Stage], layers: Sequence[DenseLayer], inputs: NDArray[np.float32]) -> TorchRate:
    """Measures inference with the compiled network's weights. Pooling and the patches of convolutions are the
    host's work here as on the board. `inputs` (float32, images x values) are those of the first stage."""

    def seconds(batches: list[NDArray[np.float32]]) -> float:
        measured = []
        for _ in range(REPEATS):
            begin = time.perf_counter()
            for batch in batches:
                run_in_torch(stages, layers, batch)
            measured.append(time.perf_counter() - begin)
        return min(measured)

    together, one_by_one = seconds([inputs]), seconds(list(inputs[:, None]))
    if together > DISTURBED * one_by_one:
        warn(
            f"torch took {together / one_by_one:.1f} times as long for one batch as for single images: other "
            "work on the machine disturbed it, and its rates say little; run it again when the machine is idle"
        )
    return TorchRate(
        together=len(inputs) / together, one_by_one=len(inputs) / one_by_one, threads=torch.get_num_threads()
    )


@torch.inference_mode()
def run_in_torch(
    stages: Sequence[Stage], layers: Sequence[DenseLayer], inputs: NDArray[np.float32]
) -> NDArray[np.float32]:
    """The outputs of the last stage (float32, images x outputs)."""

    def run_stage(stage: Stage, rows: NDArray[Any]) -> NDArray[Any]:
        values = torch.from_numpy(np.require(rows, requirements=("C", "W")))
        for index in stage.layers:
            layer = layers[index]
            bias = None if layer.bias is None else torch.from_numpy(layer.bias)
            values = torch.nn.functional.linear(values, torch.from_numpy(layer.weights), bias)
            values = torch.relu_(values) if layer.relu else values
        return values.numpy()

    return run_stages(stages, inputs, run_stage)
