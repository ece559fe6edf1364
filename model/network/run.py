"""The walk through a network's stages, the same for every core and every kind of number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.cells import State, advance
from zeroskip.model.network.host_stages import HostStage
from zeroskip.model.network.stages import RecurrentStage, Stage, sources

RunStage = Callable[[Stage, NDArray[Any]], NDArray[Any]]
"""(stage, rows x inputs of its first layer) -> rows x outputs of its last layer."""

RunHost = Callable[[int, list[NDArray[Any]]], NDArray[Any]]
"""(number of a HostStage, the values that it reads) -> its values; all images x values."""


RunCell = Callable[[int, NDArray[Any], NDArray[Any], Any], tuple[NDArray[Any], Any]]
"""(number of a RecurrentStage, the sums of a step's inputs, those of the state, what the step before it left) -> the
state, as the stage's layer reads it, and what the step leaves. What is left before the first step is None."""


def run_stages(
    stages: Sequence[Stage],
    values: NDArray[Any],
    run_stage: RunStage,
    run_host: RunHost | None = None,
    run_cell: RunCell | None = None,
) -> NDArray[Any]:
    """Takes a batch (images x values) through `stages` and returns the outputs of the last one (images x outputs).

    The host's part, `gather` before each stage and `scatter` after it, is done here. `run_stage` is called, in order,
    for every stage that has layers; pooling stages have none. `run_host` computes the stages of the host, which without
    it are computed as floats, and `run_cell` the cells of recurrent stages likewise: their layer is run by `run_stage`
    for each step. The values may be of any type that both take; each is kept until its last reader has it.
    """
    last = {source: index for index, stage in enumerate(stages) for source in sources(index, stage)}
    kept = {0: values}
    for index, stage in enumerate(stages):
        read = sources(index, stage)
        given = [kept[source] for source in read]
        if isinstance(stage, RecurrentStage):
            kept[index + 1] = _recur(index, stage, given[0], run_stage, run_cell or _float_cell(stage))
        elif isinstance(stage, HostStage):
            kept[index + 1] = stage.compute(*given) if run_host is None else run_host(index, given)
        else:
            rows = stage.gather(given[0])
            if stage.layers:
                rows = run_stage(stage, rows)
            kept[index + 1] = stage.scatter(rows)
        for source in set(read):
            if last[source] == index:
                del kept[source]
    return kept[len(stages)]


def _recur(
    index: int, stage: RecurrentStage, values: NDArray[Any], run_stage: RunStage, run_cell: RunCell
) -> NDArray[Any]:
    """The states after all steps (images x steps * hidden values)."""
    inputs = values.reshape(len(values), stage.steps, stage.sums)
    hidden: NDArray[Any] = np.zeros((len(values), stage.hidden), values.dtype)
    found, left = [], None
    for step in range(stage.steps):
        hidden, left = run_cell(index, inputs[:, step], run_stage(stage, hidden), left)
        found.append(hidden)
    return np.concatenate(found, axis=1)


def _float_cell(stage: RecurrentStage) -> RunCell:
    def run(
        index: int, inputs: NDArray[Any], recurrent: NDArray[Any], left: State | None
    ) -> tuple[NDArray[Any], State]:
        before = stage.first(len(inputs)) if left is None else left
        # The layer reads the state in the precision of the values.
        after = advance(stage.cell, inputs, recurrent, before)
        held = after.hidden.astype(inputs.dtype)
        return held, State(held.astype(np.float64), after.memory)

    return run
