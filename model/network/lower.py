"""Lowering: the stages in which a core runs the operations of a network, and the operation of each row of its layer
table."""

from __future__ import annotations

import dataclasses
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.model.network.host_stages import (
    ActivationStage,
    AddStage,
    ClampStage,
    ConcatStage,
    MoveStage,
    MultiplyStage,
    SpreadStage,
)
from zeroskip.model.network.operation_base import PREVIOUS
from zeroskip.model.network.operations import (
    Activation,
    Addition,
    AveragePooling,
    Clamping,
    Concatenation,
    Convolution,
    HostOperation,
    Imaging,
    Linear,
    MaxPooling,
    Multiplication,
    Operation,
    Rearrangement,
    Recurrence,
    Spreading,
    in_table,
)
from zeroskip.model.network.stages import ConvStage, LinearStage, MaxPoolStage, RecurrentStage, Stage
from zeroskip.model.network.token_operations import TokenOperation

Shape = tuple[int, ...]
"""Values, or channels x height x width."""


@dataclass(frozen=True, kw_only=True)
class Lowered:
    """`stages` of a network, and for each row of the layer table the number of its operation (`sources`)."""

    stages: tuple[Stage, ...]
    sources: tuple[int, ...]

    def stage_of(self, row: int) -> Stage:
        """The stage that uses a row of the layer table."""
        return next(stage for stage in self.stages if row in stage.layers)


def lower(operations: Sequence[Operation], shape: Shape) -> Lowered:
    """The stages in which a core runs `operations` on samples of `shape` (values, or channels x height x width).

    Convolutions, poolings and what the host computes are stages by themselves; Linear layers that follow one another
    share one, where nothing else reads what is in between. Average pooling becomes a convolution with a group for each
    channel. Raises ValueError if the shape does not fit the network.
    """
    # Results are numbered from 1 on, the input is 0; so are the values between the stages.
    shapes: list[Shape] = [shape]
    value_of = [0]
    stages: list[Stage] = []
    sources: list[int] = []
    reads = [tuple(number + 1 - back for back in operation.back) for number, operation in enumerate(operations)]
    readers = Counter(result for read in reads for result in set(read))
    for position, (operation, read) in enumerate(zip(operations, reads, strict=True)):
        row = len(sources)
        given = [shapes[result] for result in read]
        before = stages[-1] if stages else None
        if isinstance(operation, Recurrence):
            _require_count((operation.rows, operation.outputs), given[0], position)
            shapes.append((operation.rows, operation.inputs))
        elif isinstance(operation, Linear):
            _require_inputs(operation, given[0], row, first=read == (0,))
            shapes.append((operation.rows, operation.outputs)[-min(operation.rows, 2) :])
            # The result right before it is that of the last stage.
            alone = operation.back == PREVIOUS and readers[position] == 1 and value_of[-1] == len(stages)
            if alone and isinstance(before, LinearStage) and before.rows == operation.rows:
                stages[-1] = dataclasses.replace(before, last=row)
                value_of.append(len(stages))
                sources.append(position)
                continue
        back = tuple(len(stages) + 1 - value_of[result] for result in read)
        if isinstance(operation, Recurrence):
            sizes = {"steps": operation.rows, "hidden": operation.inputs}
            stages.append(RecurrentStage(layer=row, cell=operation.cell, **sizes, back=back))
        elif isinstance(operation, Linear):
            stages.append(LinearStage(first=row, last=row, rows=operation.rows, back=back))
        elif isinstance(operation, Imaging):
            _require_count(operation.shape, given[0], position)
            shapes.append(operation.shape)
            value_of.append(value_of[read[0]])
            continue
        elif isinstance(operation, HostOperation):
            stage, made = _host_stage(operation, given, position, back)
            stages.append(stage)
            shapes.append(made)
        else:
            if len(given[0]) != 3:
                problem = "inputs must be samples x channels x height x width, as the network takes, not samples x"
                if read != (0,):
                    problem = f"operation {position} of the network must read channels x height x width, not"
                raise ValueError(f"{problem} {_by(given[0])}")
            window = _window_stage(operation, given[0], row, position, back)
            stages.append(window)
            outputs = operation.outputs if isinstance(operation, Convolution) else window.channels
            shapes.append((outputs, *window.out_size))
        value_of.append(len(stages))
        if in_table(operation):
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


def _require_inputs(operation: Linear, shape: Shape, row: int, *, first: bool) -> None:
    count = operation.rows * operation.inputs
    if count == math.prod(shape):
        return
    if first:
        raise ValueError(f"inputs must have {count} values a sample, as the network takes, not {math.prod(shape)}")
    raise ValueError(f"layer {row} takes {count} values, but these inputs make it {_by(shape)}")


def _require_count(wanted: Shape, shape: Shape, position: int) -> None:
    if math.prod(wanted) != math.prod(shape):
        raise ValueError(
            f"operation {position} of the network takes {_by(wanted)} values, but these inputs make it {_by(shape)}"
        )


def _host_stage(
    operation: HostOperation, given: Sequence[Shape], position: int, back: tuple[int, ...]
) -> tuple[Stage, Shape]:
    """The stage of an operation of the host, and the shape of its result."""
    counts = tuple(math.prod(shape) for shape in given)
    if isinstance(operation, Clamping):
        low, high = (limit if math.isfinite(limit) else None for limit in (operation.low, operation.high))
        return ClampStage(values=counts[0], low=low, high=high, back=back), given[0]
    if isinstance(operation, Activation):
        function, argument = operation.function, operation.argument
        return ActivationStage(values=counts[0], function=function, argument=argument, back=back), given[0]
    if isinstance(operation, Rearrangement):
        move = operation.move
        if move.furthest >= counts[0]:
            raise ValueError(
                f"operation {position} of the network takes value {move.furthest}, but these inputs make it "
                f"{_by(given[0])}"
            )
        stage = MoveStage(values=counts[0], sizes=move.sizes, strides=move.strides, offset=move.offset, back=back)
        return stage, move.sizes or (1,)
    if isinstance(operation, Spreading):
        if len(given[0]) != 3:
            raise ValueError(
                f"operation {position} of the network must read channels x height x width, not {_by(given[0])}"
            )
        channels, height, width = given[0]
        sizes = {"channels": channels, "height": height, "width": width}
        spread = SpreadStage(**sizes, apart=operation.apart, tail=operation.tail, back=back)
        return spread, (channels, *spread.size)
    if isinstance(operation, TokenOperation):
        try:
            made = operation.stage(counts, back)
        except ValueError as error:
            raise ValueError(f"operation {position} of the network: {error}") from error
        same = len(given) == 1 and made.gives == counts[0]
        return made, given[0] if same else (made.gives,)
    images = operation.images and all(len(shape) == 3 for shape in given)
    if isinstance(operation, Addition):
        if given[0] != given[1] if images else counts[0] != counts[1]:
            raise ValueError(
                f"operation {position} of the network adds {_by(given[0])} and {_by(given[1])}; supported: the sum of "
                "values of the same shape"
            )
        return AddStage(values=counts[0], relu=operation.relu, back=back), given[0] if images else counts[:1]
    if isinstance(operation, Multiplication):
        one, other = given
        if not images and counts[0] == counts[1]:
            return MultiplyStage(values=(counts[0], counts[1]), back=back), counts[:1]
        flat = len(other) < 3 and counts[1] == one[0]
        if one != other and (len(one) != 3 or not (flat or other == (one[0], 1, 1))):
            raise ValueError(
                f"operation {position} of the network multiplies {_by(one)} by {_by(other)}; supported: the product "
                "of values of the same shape, and one factor for each channel"
            )
        return MultiplyStage(values=(counts[0], counts[1]), back=back), one
    assert isinstance(operation, Concatenation)
    if not images:
        return ConcatStage(values=counts, back=back), (sum(counts),)
    if len({shape[1:] for shape in given}) > 1:
        raise ValueError(
            f"operation {position} of the network joins {' and '.join(map(_by, given))}; supported: images of the "
            "same height and width"
        )
    return ConcatStage(values=counts, back=back), (sum(shape[0] for shape in given), *given[0][1:])


def _window_stage(
    operation: Convolution | MaxPooling | AveragePooling, shape: Shape, row: int, position: int, back: tuple[int, ...]
) -> ConvStage | MaxPoolStage:
    channels, height, width = shape
    if isinstance(operation, Convolution) and operation.channels != channels:
        raise ValueError(f"layer {row} must have images of {operation.channels} channels, not {channels}, at its input")
    kernel = (height, width) if operation.kernel is None else operation.kernel
    fields: dict[str, Any] = {"channels": channels, "height": height, "width": width, "back": back}
    fields |= {"kernel": kernel, "stride": operation.stride, "padding": operation.padding}
    if not isinstance(operation, AveragePooling):
        fields["dilation"] = operation.dilation
    try:
        if isinstance(operation, MaxPooling):
            return MaxPoolStage(**fields, ceil=operation.ceil)
        groups = channels if isinstance(operation, AveragePooling) else operation.groups
        return ConvStage(**fields, layer=row, groups=groups)
    except ValueError as error:
        raise ValueError(f"operation {position} of the network: {error}") from error


def _by(shape: Shape) -> str:
    return " x ".join(map(str, shape))
