"""Weight sharing: a layer's weights become 15 values (Deep Compression, ICLR 2016, section 3)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.eie.fixed_point import ONE_FRACTION, activation_fraction
from zeroskip.model.eie.kmeans import cluster
from zeroskip.model.eie.shared import SharedConv, SharedLayer, SharedOperation, SharedRecurrence
from zeroskip.model.network.folded import Folded, operations
from zeroskip.model.network.magnitudes import LOST_SHARE, Magnitudes
from zeroskip.model.network.operations import Convolution, Linear, Recurrence
from zeroskip.model.network.ranges import input_magnitudes
from zeroskip.model.progress import Progress, Step, silent
from zeroskip.model.warned import warn

_LARGE_BIAS = 64
"""Biases that are larger than the weights by this factor would leave the weights too few of the shared values and of
their bits."""

_SEEN = 19
"""Inputs with this many fraction bits, and weights as large as the biases, change an output by less than its last of 16
bits, even where many of them add up."""

_ROUGH = 0.5
"""Error of an output's shared weights, relative to its weights (both as root of the sum of squares), from which on it
is told."""

_SPARE = 8
"""So many fraction bits of the inputs may be given up later, for the accumulators."""


def share_layers(
    folded: Folded, progress: Progress = silent, *, inputs: NDArray[np.float32] | None = None
) -> list[SharedOperation]:
    """The operations of what `zeroskip.model.network.fold.fold` returns, each layer with its own codebook.

    Exact, with nothing lost, for a layer of at most 15 distinct non-zero values. Samples of the network's `inputs`
    (samples x ...) say how large the activations are: where these are very small or large, or the biases much larger
    than the weights, the biases are scaled, so that 16 bits hold all of them.
    """
    network: list[SharedOperation] = []
    found = operations(folded)
    ranges = None if inputs is None else input_magnitudes(folded, inputs, progress)
    for number, (operation, module) in enumerate(found):
        progress(Step(task="sharing weights", done=number, total=len(found), unit="layers"))
        if isinstance(operation, Linear | Convolution):
            assert isinstance(module, nn.Linear | nn.Conv2d)
            network.append(_share_layer(module, operation, None if ranges is None else ranges[number]))
        else:
            network.append(operation)
    return network


def warn_of_rough_sharing(folded: Folded, shared: Sequence[SharedOperation]) -> None:
    """Warns of each layer in which sharing changes the weights of many outputs by more than half of their size.

    That happens where one codebook has to hold weights of very different sizes: the small ones all get a value of the
    large ones, and what the layer computed with them is gone. `shared` is what share_layers made of `folded`.
    """
    number = 0
    for (operation, module), layer in zip(operations(folded), shared, strict=True):
        if not isinstance(operation, Linear | Convolution):
            continue
        assert isinstance(layer, SharedLayer)
        assert isinstance(module, nn.Linear | nn.Conv2d)
        weight = module.weight.detach().flatten(1).double().numpy()
        size = (weight**2).sum(axis=1)
        changed = ((layer.weight - weight) ** 2).sum(axis=1) > _ROUGH**2 * size
        if changed.sum() > LOST_SHARE * np.count_nonzero(size):
            warn(
                f"layer {number}, weights: the shared values of {changed.sum():,} of {len(weight):,} outputs differ "
                "from their weights by more than half of their size, as one codebook of 15 values holds weights of "
                "very different sizes; scale the layer's outputs alike, for example by training further",
                stacklevel=3,
            )
        number += 1


def _share_layer(
    layer: nn.Linear | nn.Conv2d, operation: Linear | Convolution, inputs: Magnitudes | None
) -> SharedLayer:
    weight = layer.weight.detach().flatten(1).numpy()
    # In the hardware the bias is one more column of the matrix, so it uses the same codebook.
    matrix, exponent = weight, 0
    if layer.bias is not None:
        bias = layer.bias.detach().numpy()
        exponent = 0 if inputs is None else _bias_exponent(weight, bias, activation_fraction(inputs))
        matrix = np.column_stack((weight, np.ldexp(bias, -exponent)))
    codes = np.zeros(matrix.shape, np.uint8)
    used = matrix != 0
    codebook, codes[used] = cluster(matrix[used])
    columns = weight.shape[1]
    shared = SharedLayer(
        codebook=codebook,
        weight_codes=codes[:, :columns].copy(),
        bias_codes=None if layer.bias is None else codes[:, columns].copy(),
        bias_exponent=exponent,
        relu=operation.relu,
        back=operation.back,
    )
    if isinstance(operation, Recurrence):
        return SharedRecurrence(**{**vars(shared), "rows": operation.rows}, cell=operation.cell)
    if isinstance(operation, Linear):
        return dataclasses.replace(shared, rows=operation.rows)
    return SharedConv(
        **vars(shared),
        kernel=operation.kernel,
        stride=operation.stride,
        padding=operation.padding,
        groups=operation.groups,
        dilation=operation.dilation,
    )


def _bias_exponent(weight: NDArray[np.float32], bias: NDArray[np.float32], fraction: int) -> int:
    """The exponent of the activation of the bias column, for inputs of `fraction` fraction bits: zero, the constant
    one, unless the inputs' format does not hold that, or large biases would cost the weights their bits. Then it is
    the power of two, of those that the format holds, that makes the biases about as large as the weights."""
    top, other = float(np.abs(weight).max()), float(np.abs(bias).max())
    if 0 <= fraction <= ONE_FRACTION and other <= _LARGE_BIAS * top:
        return 0
    if top == 0:
        # The inputs do not matter: any fraction bits would do.
        return max(0, -fraction)
    if other == 0:
        return ONE_FRACTION - fraction
    size = math.ceil(math.log2(other / top))
    if fraction > ONE_FRACTION:
        # Where biases make the outputs large, more bits of the inputs are not seen in them.
        fraction = max(ONE_FRACTION, min(fraction, _SEEN - size))
    return min(max(size, _SPARE - fraction), ONE_FRACTION - fraction)
