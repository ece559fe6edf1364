"""The walk through a network's stages, the same for every core and every kind of number."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from numpy.typing import NDArray

from zeroskip.model.network.host_stages import HostStage
from zeroskip.model.network.stages import Stage, sources

RunStage = Callable[[Stage, NDArray[Any]], NDArray[Any]]
"""(stage, rows x inputs of its first layer) -> rows x outputs of its last layer."""

RunHost = Callable[[int, list[NDArray[Any]]], NDArray[Any]]
"""(number of a HostStage, the values that it reads) -> its values; all images x values."""


def run_stages(
    stages: Sequence[Stage], values: NDArray[Any], run_stage: RunStage, run_host: RunHost | None = None
) -> NDArray[Any]:
    """Takes a batch (images x values) through `stages` and returns the outputs of the last one (images x outputs).

    The host's part, `gather` before each stage and `scatter` after it, is done here. `run_stage` is called, in order,
    for every stage that has layers; pooling stages have none. `run_host` computes the stages of the host, which without
    it are computed as floats. The values may be of any type that both take; each is kept until its last reader has it.
    """
    last = {source: index for index, stage in enumerate(stages) for source in sources(index, stage)}
    kept = {0: values}
    for index, stage in enumerate(stages):
        read = sources(index, stage)
        given = [kept[source] for source in read]
        if isinstance(stage, HostStage):
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
