"""The matrix of a layer with its bias, as the array multiplies it, and the shared layer from its codes."""

from __future__ import annotations

import dataclasses
import math

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.eie.fixed_point import ONE_FRACTION, activation_fraction
from zeroskip.model.eie.shared import SharedConv, SharedLayer, SharedRecurrence
from zeroskip.model.network.magnitudes import Magnitudes
from zeroskip.model.network.operations import Convolution, Linear, Recurrence

_LARGE_BIAS = 64
"""Biases that are larger than the weights by this factor would leave the weights too few of the shared values and of
their bits."""

_SEEN = 19
"""Inputs with this many fraction bits, and weights as large as the biases, change an output by less than its last of 16
bits, even where many of them add up."""

_SPARE = 8
"""So many fraction bits of the inputs may be given up later, for the accumulators."""


def matrix_with_bias(layer: nn.Linear | nn.Conv2d, inputs: Magnitudes | None) -> tuple[NDArray[np.float32], int]:
    """The matrix of a layer, (outputs x inputs), with the bias, if it has one, as one more column, since in the
    hardware it uses the same codebook; and the exponent of the activation of that column, a power of two by which the
    bias is divided. `inputs` says how large the layer's inputs are, where that is known."""
    weight = layer.weight.detach().flatten(1).numpy()
    if layer.bias is None:
        return weight, 0
    bias = layer.bias.detach().numpy()
    exponent = 0 if inputs is None else _bias_exponent(weight, bias, activation_fraction(inputs))
    return np.column_stack((weight, np.ldexp(bias, -exponent))), exponent


def shared_layer(
    operation: Linear | Convolution, codebook: NDArray[np.float32], codes: NDArray[np.uint8], exponent: int | None
) -> SharedLayer:
    """The shared layer of an operation, from the codes of the matrix that `matrix_with_bias` gives, and its exponent;
    None where the layer has no bias."""
    columns = codes.shape[1] - (exponent is not None)
    shared = SharedLayer(
        codebook=codebook,
        weight_codes=codes[:, :columns].copy(),
        bias_codes=None if exponent is None else codes[:, columns].copy(),
        bias_exponent=exponent or 0,
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
