"""From a torch network to the operands of the N:M tile."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.mma.bundle import PAD, MmaLayer, MmaNetwork
from zeroskip.model.mma.convert import FLOATS, from_raw, to_raw
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.mma.gemm import Operand, dense_operand, sparse_operand
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import OPERANDS, FloatFormat
from zeroskip.model.mma.scale import exponent
from zeroskip.model.network.fold import fold
from zeroskip.model.network.folded import operations
from zeroskip.model.network.losses import Loss
from zeroskip.model.network.lower import averaging_weight, block_diagonal, lower
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.operations import has_relu, in_table
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.network.ranges import input_magnitudes
from zeroskip.model.network.stages import ConvStage, Stage
from zeroskip.model.progress import Progress, silent

_BIAS_EXPONENT = 126
"""fp32 holds all magnitudes below two to the power of this, and of twice."""


def compile_network(
    module: nn.Module,
    shape: tuple[int, ...],
    geometry: TileGeometry,
    *,
    inputs: NDArray[np.float32] | None = None,
    progress: Progress = silent,
) -> MmaNetwork:
    """Compiles a network for samples of `shape`: values, or channels x height x width.

    Weights are scaled by a power of two where the tile's format does not hold them, and so are activations, where
    samples of the network's `inputs` (samples x shape) say how large they are (zeroskip.model.mma.scale).

    A layer runs sparse where its weights, rounded to the tile's format, follow the pattern along the input channels and
    sparse takes fewer cycles; otherwise dense. No weight is pruned here (zeroskip.model.pruning.nm does that).

    Raises ValueError if the network cannot be folded, the shape does not fit it, or the tile's formats are not floating
    point.
    """
    if geometry.dtype not in FLOATS or geometry.out != "fp32":
        raise ValueError(
            f"a network needs dtype fp16, bf16 or tf32 and out fp32, not {geometry.dtype} and {geometry.out}"
        )
    assert isinstance(geometry.operand, FloatFormat)
    folded = fold(module)
    read = operations(folded)
    lowered = lower([operation for operation, _ in read], shape)
    activations = None if inputs is None else input_magnitudes(folded, inputs, progress)
    layers: list[MmaLayer] = []
    operands: list[Operand] = []
    columns: list[NDArray[np.int32]] = []
    biases: list[NDArray[Any]] = []
    for row, source in enumerate(lowered.sources):
        operation, layer = read[source]
        stage = lowered.stage_of(row)
        weight, bias = _parameters(layer, stage)
        groups = stage.groups if isinstance(stage, ConvStage) else 1
        weight_exponent = exponent(Magnitudes.of(weight), geometry.operand)
        input_exponent = 0 if activations is None else exponent(activations[source], geometry.operand)
        # The scaled bias must stay a number of fp32.
        room = _BIAS_EXPONENT - math.frexp(float(np.abs(bias).max()))[1]
        input_exponent -= max(0, weight_exponent + input_exponent - room)
        operand, order = _operand(np.ldexp(weight, weight_exponent), geometry, groups=groups, runs=stage.starts)
        operands.append(operand)
        columns.append(order)
        biases.append(to_raw(np.ldexp(bias, weight_exponent + input_exponent), geometry.out))
        layers.append(
            MmaLayer(
                inputs=weight[0].size,
                outputs=len(weight),
                columns=len(order),
                pad=int((order == PAD).sum()),
                sparse=not operand.dense,
                relu=has_relu(operation),
                weight_exponent=weight_exponent,
                input_exponent=input_exponent,
            )
        )
    return MmaNetwork(
        geometry=geometry,
        layers=tuple(layers),
        stages=lowered.stages,
        operands=tuple(operands),
        columns=tuple(columns),
        biases=tuple(biases),
    )


def _parameters(layer: nn.Module, stage: Stage) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The weight (outputs, channels, height, width; or outputs, inputs) without groups, and the bias (outputs,) of a
    layer; average pooling is a convolution."""
    if isinstance(layer, nn.Linear | nn.Conv2d):
        weight = layer.weight.detach().numpy()
        bias = np.zeros(len(weight), np.float32) if layer.bias is None else layer.bias.detach().numpy()
    else:
        assert isinstance(stage, ConvStage)
        weight = np.full((stage.channels, 1, *stage.kernel), averaging_weight(stage), np.float32)
        bias = np.zeros(stage.channels, np.float32)
    if isinstance(stage, ConvStage):
        matrix = block_diagonal(weight.reshape(len(weight), -1), stage.groups)
        weight = matrix.reshape(len(weight), stage.channels, *stage.kernel)
    return weight, bias


def channel_order(shape: tuple[int, ...], pattern: Pattern, groups: int = 1) -> NDArray[np.int32]:
    """Which value of a patch (channels x height x width) each column of a sparse A multiplies, or PAD.

    The channels come last, so that a group of the pattern holds channels at the same place of the kernel. The channels
    of each of a convolution's `groups` are padded to whole groups of the pattern. `shape` is that of the weight without
    its outputs."""
    channels, places = shape[0] // groups, math.prod(shape[1:])
    full = -(-channels // pattern.group) * pattern.group
    order = np.full((places, groups, full), PAD, np.int32)
    values = np.arange(shape[0] * places, dtype=np.int32).reshape(groups, channels, places)
    order[:, :, :channels] = values.transpose(2, 0, 1)
    return order.reshape(-1)


def _operand(
    weight: NDArray[np.float32], geometry: TileGeometry, *, groups: int, runs: int
) -> tuple[Operand, NDArray[np.int32]]:
    """A layer's operand and the order of its columns, sparse where that is possible and faster. An image has `runs`
    columns of B; `groups` are those of the convolution."""
    bits = to_raw(weight.reshape(len(weight), -1), geometry.dtype)
    plain = np.arange(bits.shape[1], dtype=np.int32)
    dense = dense_operand(bits, geometry.pattern), plain
    order = channel_order(weight.shape[1:], geometry.pattern, groups)

    # For a batch that fills the columns of the tile.
    sizes = (len(weight), runs * geometry.n)
    if gemm_cycles(geometry, *sizes, len(order), dense=False) >= gemm_cycles(geometry, *sizes, len(plain), dense=True):
        return dense
    ordered = np.where(order == PAD, bits.dtype.type(0), bits[:, order])
    try:
        return sparse_operand(ordered, geometry.pattern, dtype=geometry.dtype), order
    except ValueError:
        # More values in a group than the pattern keeps.
        return dense


def weight_losses(module: nn.Module, dtype: str) -> list[Loss]:
    """The weights of each layer of a network that are not zero, but are in the tile's format."""
    form = OPERANDS[dtype]
    assert isinstance(form, FloatFormat)
    losses = []
    rows = [layer for operation, layer in operations(fold(module)) if in_table(operation)]
    for row, layer in enumerate(rows):
        if isinstance(layer, nn.Linear | nn.Conv2d):
            weight = layer.weight.detach().numpy()
            scaled = np.ldexp(weight, exponent(Magnitudes.of(weight), form))
            present = int(np.count_nonzero(weight))
            held = int(np.count_nonzero(from_raw(to_raw(scaled, dtype), dtype)))
            losses.append(Loss(layer=row, what="weights", values=present, to_zero=present - held, saturated=0))
    return losses


def rounded_to_zero(module: nn.Module, dtype: str) -> int:
    """How many weights of all layers are not zero, but are in the tile's format."""
    return sum(loss.to_zero for loss in weight_losses(module, dtype))
