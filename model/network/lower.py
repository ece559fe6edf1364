"""Lowering: the stages in which a core runs the operations of a network, and the operation of each row of its layer
table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.operations import AveragePooling, Convolution, Linear, MaxPooling, Operation
from zeroskip.model.network.stages import ConvStage, LinearStage, MaxPoolStage, Stage


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """`stages` of a network, and for each row of the layer table the number of its operation (`sources`)."""

    stages: tuple[Stage, ...]
    sources: tuple[int, ...]

    def stage_of(self, row: int) -> Stage:
        """The stage that uses a row of the layer table."""
        return next(stage for stage in self.stages if row in stage.layers)


def lower(operations: Sequence[Operation], shape: tuple[int, ...]) -> Lowered:
    """The stages in which a core runs `operations` on samples of `shape` (values, or channels x height x width).

    Convolutions and poolings are stages by themselves; Linear layers that follow one another share one. Average pooling
    becomes a convolution with a group for each channel. Raises ValueError if the shape does not fit the network.
    """
    if not isinstance(operations[0], Linear) and len(shape) != 3:
        raise ValueError(
            f"inputs must be samples x channels x height x width, as the network takes, not samples x {_by(shape)}"
        )
    stages: list[Stage] = []
    sources: list[int] = []
    for position, operation in enumerate(operations):
        row = len(sources)
        if isinstance(operation, Linear):
            _require_inputs(operation, shape, row)
            shape = (operation.outputs,)
            if stages and isinstance(stages[-1], LinearStage):
                stages[-1] = LinearStage(first=stages[-1].first, last=row)
            else:
                stages.append(LinearStage(first=row, last=row))
        else:
            stage = _window_stage(operation, shape, row, position)
            stages.append(stage)
            outputs = operation.outputs if isinstance(operation, Convolution) else stage.channels
            shape = (outputs, *stage.out_size)
        if not isinstance(operation, MaxPooling):
            sources.append(position)
    return Lowered(stages=tuple(stages), sources=tuple(sources))


def block_diagonal(rows: NDArray[Any], groups: int) -> NDArray[Any]:
    """The matrix (outputs x inputs of all groups) of a convolution whose outputs see only the inputs of their own
    group; `rows` (outputs x inputs of a group) are its weights, masks or codes."""
    outputs, inputs = rows.shape
    matrix = np.zeros((groups, outputs // groups, groups, inputs), rows.dtype)
    group = np.arange(groups)
    matrix[group, :, group] = rows.reshape(groups, -1, inputs)
    return matrix.reshape(outputs, groups * inputs)


def averaging_weight(stage: ConvStage) -> float:
    """The weight of a convolution that averages its window."""
    return 1 / (stage.kernel[0] * stage.kernel[1])


def _require_inputs(operation: Linear, shape: tuple[int, ...], row: int) -> None:
    if operation.inputs == math.prod(shape):
        return
    if row == 0:
        raise ValueError(
            f"inputs must have {operation.inputs} values a sample, as the network takes, not {math.prod(shape)}"
        )
    raise ValueError(f"layer {row} takes {operation.inputs} values, but these inputs make it {_by(shape)}")


def _window_stage(
    operation: Convolution | MaxPooling | AveragePooling, shape: tuple[int, ...], row: int, position: int
) -> ConvStage | MaxPoolStage:
    channels, height, width = shape
    if isinstance(operation, Convolution) and operation.channels != channels:
        raise ValueError(f"layer {row} must have images of {operation.channels} channels, not {channels}, at its input")
    kernel = (height, width) if operation.kernel is None else operation.kernel
    fields: dict[str, Any] = {"channels": channels, "height": height, "width": width}
    fields |= {"kernel": kernel, "stride": operation.stride, "padding": operation.padding}
    try:
        if isinstance(operation, MaxPooling):
            return MaxPoolStage(**fields)
        groups = channels if isinstance(operation, AveragePooling) else operation.groups
        return ConvStage(**fields, layer=row, groups=groups)
    except ValueError as error:
        raise ValueError(f"operation {position} of the network: {error}") from error


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
