"""The player's (player.v) record of a stage."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.network.stages import Stage
from zeroskip.rtl.eie.layouts import monitor_layout

ACTIVITIES = ("busy", "padding", "stalled", "starved", "draining")
"""What a PE does in a cycle:

busy: it multiplies a weight.
padding: it has no weight, because a word held only padding.
stalled: it waits while a full queue, its own or another PE's, delays the broadcast.
starved: it waits for a broadcast.
draining: at the end of a layer it waits for the other PEs and the pipelines.
"""


@dataclass(frozen=True, kw_only=True, eq=False)
class Record:
    """For each start of a stage: `outputs` (int16, starts x outputs), `cycles` from start to done (int64, starts), and
    `layer_cycles` of each layer of the network (int64, starts x layers). Over all starts: `activity` (int64, pes x
    ACTIVITIES) in cycles. For each cycle of the first start: `queue_levels` (uint16, cycles x pes), and `layer_trace`
    (uint8, cycles), the layer that ran."""

    outputs: NDArray[np.int16]
    cycles: NDArray[np.int64]
    layer_cycles: NDArray[np.int64]
    activity: NDArray[np.int64]
    queue_levels: NDArray[np.uint16]
    layer_trace: NDArray[np.uint8]


@dataclass(frozen=True, kw_only=True)
class HungStart:
    """A start of the program, counted from zero, that was not done after `cycles`, and the layer that it was in."""

    start: int
    cycles: int
    layer: int


def hung_start(record: bytes) -> HungStart | None:
    """The start with which the record ends because it hung."""
    *_, last = record.splitlines() or [b""]
    if not last.startswith(b"T"):
        return None
    cycles, layer = map(int, last.split()[1:])
    return HungStart(start=record.count(b"C"), cycles=cycles, layer=layer)


def parse_record(network: EieNetwork, stage: Stage, starts: int, record: bytes, trace: str) -> Record:
    """Parses the record of `starts` starts of a stage, and the trace of the first start."""
    geometry, outputs = network.geometry, network.layers[stage.layers[-1]].outputs
    # After each start a line of "C", cycles, and those of each layer, and one of "R" and the outputs; at the end the
    # lines of the PEs.
    numbers = np.fromstring(record.translate(None, delete=b"CRA"), np.int64, sep=" ")
    each = 1 + geometry.layers + outputs
    assert len(numbers) == starts * each + geometry.pes * len(ACTIVITIES), "the player stopped early"
    by_start = numbers[: starts * each].reshape(starts, each)
    queue_levels, layer_trace = _parse_trace(geometry, trace)
    return Record(
        outputs=by_start[:, 1 + geometry.layers :].astype(np.int16),
        cycles=by_start[:, 0],
        layer_cycles=by_start[:, 1 : 1 + len(network.layers)],
        activity=numbers[starts * each :].reshape(geometry.pes, -1),
        queue_levels=queue_levels,
        layer_trace=layer_trace,
    )


def _parse_trace(geometry: EieGeometry, trace: str) -> tuple[NDArray[np.uint16], NDArray[np.uint8]]:
    layout = monitor_layout(geometry)
    monitor = [int(line, 16) for line in trace.split()]
    level = layout["level"]
    level_bits = level.shape.elem_shape if isinstance(level.shape.elem_shape, int) else len(level.shape.elem_shape)

    def field(name: str) -> list[int]:
        offset, mask = layout[name].offset, (1 << layout[name].width) - 1
        return [(word >> offset) & mask for word in monitor]

    levels = [
        [(word >> (pe * level_bits)) & ((1 << level_bits) - 1) for pe in range(geometry.pes)] for word in field("level")
    ]
    return np.array(levels, np.uint16).reshape(len(monitor), geometry.pes), np.array(field("layer"), np.uint8)
