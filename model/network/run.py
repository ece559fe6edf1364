"""The walk through a network's stages, the same for every core and every kind of number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from zeroskip.model.network.stages import Stage

RunStage = Callable[[Stage, NDArray[Any]], NDArray[Any]]
"""(stage, rows x inputs of its first layer) -> rows x outputs of its last layer."""


def run_stages(stages: Sequence[Stage], values: NDArray[Any], run_stage: RunStage) -> NDArray[Any]:
    """Takes a batch (images x values) through `stages` and returns the outputs of the last one (images x outputs).

    The host's part, `gather` before each stage and `scatter` after it, is done here. `run_stage` is called, in order,
    for every stage that has layers; pooling stages have none. The values may be of any type that `run_stage` takes.
    """
    for stage in stages:
        rows = stage.gather(values)
        if stage.layers:
            rows = run_stage(stage, rows)
        values = stage.scatter(rows)
    return values
