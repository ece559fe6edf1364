"""From a torch network to the operands of the N:M tile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.mma.bundle import PAD, MmaLayer, MmaNetwork
from zeroskip.model.mma.convert import FLOATS, to_raw
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.mma.gemm import Operand, dense_operand, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import FloatFormat
from zeroskip.model.mma.pattern import Pattern
from zeroskip.model.network.fold import fold
from zeroskip.model.network.pooling import as_convolution, window
from zeroskip.model.network.stages import ConvStage, LinearStage, MaxPoolStage, Stage


def compile_network(module: nn.Module, shape: tuple[int, ...], geometry: TileGeometry) -> MmaNetwork:
    """Compiles a network for samples of `shape`: values, or channels x height x width.

    A layer runs sparse where its weights, rounded to the tile's format, obey the pattern along the input channels and
    that takes fewer cycles; else dense. Weights are left as they are otherwise: pruning is zeroskip.model.pruning.nm's.

    Raises ValueError where the network cannot be folded, the shape does not fit it, a weight or bias is not finite in
    the tile's formats, or those are not floating point.
    """
    if geometry.dtype not in FLOATS or geometry.out != "fp32":
        raise ValueError(
            f"a network needs dtype fp16, bf16 or tf32 and out fp32, not {geometry.dtype} and {geometry.out}"
        )
    folded = fold(module)
    stages: list[Stage] = []
    layers: list[MmaLayer] = []
    operands: list[Operand] = []
    columns: list[NDArray[np.int32]] = []
    biases: list[NDArray[Any]] = []
    parts = list(folded)
    if not isinstance(parts[0], nn.Linear) and len(shape) != 3:
        raise ValueError(
            f"inputs must be samples x channels x height x width, as the network takes, not samples x {_by(shape)}"
        )
    for position, given in enumerate(parts):
        part = as_convolution(given, shape) if isinstance(given, nn.AvgPool2d | nn.AdaptiveAvgPool2d) else given
        if isinstance(part, nn.MaxPool2d):
            pool = MaxPoolStage(**_window(part, shape, position))
            stages.append(pool)
            shape = (shape[0], *pool.out_size)
        if not isinstance(part, nn.Linear | nn.Conv2d):
            continue
        number = len(layers)
        weight = part.weight.detach().numpy()
        if isinstance(part, nn.Conv2d):
            conv = ConvStage(**_window(part, shape, position), layer=number, groups=part.groups)
            stages.append(conv)
            shape = (part.out_channels, *conv.out_size)
            weight = _whole(weight, part.groups)
            groups, runs = part.groups, conv.positions
        else:
            if part.in_features != math.prod(shape):
                raise ValueError(
                    f"layer {number} takes {part.in_features} values, but these inputs make it {_by(shape)}"
                )
            shape, groups, runs = (part.out_features,), 1, 1
            if stages and isinstance(stages[-1], LinearStage):
                stages[-1] = LinearStage(first=stages[-1].first, last=number)
            else:
                stages.append(LinearStage(first=number, last=number))
        operand, order = _operand(weight, geometry, groups=groups, runs=runs, number=number)
        bias = np.zeros(len(weight), np.float32) if part.bias is None else part.bias.detach().numpy()
        operands.append(operand)
        columns.append(order)
        biases.append(to_raw(bias, geometry.out))
        layers.append(
            MmaLayer(
                inputs=weight[0].size,
                outputs=len(weight),
                columns=len(order),
                pad=int((order == PAD).sum()),
                sparse=not operand.dense,
                relu=position + 1 < len(parts) and isinstance(parts[position + 1], nn.ReLU),
            )
        )
    return MmaNetwork(
        geometry=geometry,
        layers=tuple(layers),
        stages=tuple(stages),
        operands=tuple(operands),
        columns=tuple(columns),
        biases=tuple(biases),
    )


def _window(part: nn.Conv2d | nn.MaxPool2d, shape: tuple[int, ...], position: int) -> dict[str, Any]:
    channels, height, width = shape
    if isinstance(part, nn.Conv2d) and part.in_channels != channels:
        raise ValueError(
            f"part {position} of the network takes {part.in_channels} channels, but these inputs make it {channels}"
        )

    kernel, stride, padding = window(part)
    return {
        "channels": channels,
        "height": height,
        "width": width,
        "kernel": kernel,
        "stride": stride,
        "padding": padding,
    }


def _whole(weight: NDArray[np.float32], groups: int) -> NDArray[np.float32]:
    """The weight (outputs, channels, height, width) of a convolution without groups that does the same."""
    outputs, inputs = weight.shape[:2]
    whole = np.zeros((outputs, inputs * groups, *weight.shape[2:]), np.float32)
    for group in range(groups):
        rows = slice(group * outputs // groups, (group + 1) * outputs // groups)
        whole[rows, group * inputs : (group + 1) * inputs] = weight[rows]
    return whole


def channel_order(shape: tuple[int, ...], pattern: Pattern, groups: int = 1) -> NDArray[np.int32]:
    """Which value of a patch (channels x height x width) each column of a sparse A multiplies, or PAD: channels last,
    filled up to whole groups of the pattern, those of each of a convolution's `groups` by themselves. `shape` is that
    of the weight without outputs."""
    channels, places = shape[0] // groups, math.prod(shape[1:])
    full = -(-channels // pattern.group) * pattern.group
    order = np.full((places, groups, full), PAD, np.int32)
    values = np.arange(shape[0] * places, dtype=np.int32).reshape(groups, channels, places)
    order[:, :, :channels] = values.transpose(2, 0, 1)
    return order.reshape(-1)


def _operand(
    weight: NDArray[np.float32], geometry: TileGeometry, *, groups: int, runs: int, number: int
) -> tuple[Operand, NDArray[np.int32]]:
    """A layer's operand and the order of its columns, sparse where that is possible and faster. `runs` are the columns
    of B that an image makes, `groups` those of a convolution."""
    assert isinstance(geometry.operand, FloatFormat)
    bits = to_raw(weight.reshape(len(weight), -1), geometry.dtype)
    top = ((1 << geometry.operand.exponent_bits) - 1) << (geometry.operand.mantissa_bits + geometry.operand.dropped)
    if np.any((bits & bits.dtype.type(top)) == top):
        raise ValueError(f"layer {number} has a weight that is not finite in {geometry.dtype}")
    plain = np.arange(bits.shape[1], dtype=np.int32)
    dense = dense_operand(bits, geometry.pattern), plain
    order = channel_order(weight.shape[1:], geometry.pattern, groups)

    # For a batch of an image a column of the tile.
    sizes = (len(weight), runs * geometry.n)
    if gemm_cycles(geometry, *sizes, len(order), dense=False) >= gemm_cycles(geometry, *sizes, len(plain), dense=True):
        return dense
    ordered = np.where(order == PAD, bits.dtype.type(0), bits[:, order])
    try:
        return sparse_operand(ordered, geometry.pattern, dtype=geometry.dtype), order
    except ValueError:
        # More values in a group than the pattern keeps.
        return dense


def _by(shape: tuple[int, ...]) -> str:
    return " x ".join(map(str, shape))
