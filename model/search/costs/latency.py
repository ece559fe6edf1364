"""The time that a layer takes on this machine's CPU."""

from __future__ import annotations

import statistics
import time

import torch
from torch import nn

from zeroskip.model.search.layers import Layer

REPEATS = 7
"""The number of timings whose median counts."""

LEAST_SECONDS = 2e-3
"""The shortest duration of a timing: it runs the layer as often as needed."""


@torch.no_grad()
def layer_seconds(layer: Layer, channels: tuple[int, int], batch: int) -> float:
    """Seconds per image of the layer with (inputs, outputs) channels, in batches of `batch` images on one thread: a
    median, as other programs disturb single timings."""
    inputs, outputs = channels
    made: nn.Module
    if isinstance(layer.module, nn.Conv2d):
        conv = layer.module
        groups = outputs if layer.depthwise else conv.groups
        sizes = {"kernel_size": conv.kernel_size, "stride": conv.stride, "padding": conv.padding}
        made = nn.Conv2d(inputs, outputs, groups=groups, dilation=conv.dilation, **sizes)  # type: ignore[arg-type]
        given = torch.rand(batch, inputs, *layer.size)
    else:
        made = nn.Linear(inputs, outputs)
        given = torch.rand(batch * layer.positions, inputs)
    return median_seconds(made, given) / batch


@torch.no_grad()
def median_seconds(module: nn.Module, given: torch.Tensor) -> float:
    """Seconds that `module` takes for the inputs `given` on one thread, the median of REPEATS timings."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        runs = 1
        while (seconds := _timed(module, given, runs)) < LEAST_SECONDS:
            runs *= 2
        return statistics.median([seconds, *(_timed(module, given, runs) for _ in range(REPEATS - 1))]) / runs
    finally:
        torch.set_num_threads(threads)


def _timed(module: nn.Module, given: torch.Tensor, runs: int) -> float:
    start = time.perf_counter()
    for _ in range(runs):
        module(given)
    return time.perf_counter() - start
