"""A compiled network for the EIE array as dense layers of floats, as torch would run it."""

from __future__ import annotations

import numpy as np

from zeroskip.fpga.torch_rate import DenseLayer
from zeroskip.model.eie.bundle import EieNetwork


def dense_layers(network: EieNetwork) -> list[DenseLayer]:
    """What torch computes with: one position of a convolution after the other."""
    found = []
    for index, layer in enumerate(network.layers):
        values = network.codebooks[index][network.position_codes(index)]
        matrix = values.astype(np.float32) / np.float32(2.0**layer.weight_fraction)
        bias = matrix[:, -1] * np.float32(2.0**layer.bias_exponent) if layer.bias else None
        weights = np.ascontiguousarray(matrix[:, : matrix.shape[1] - layer.bias])
        found.append(DenseLayer(weights=weights, bias=bias, relu=layer.relu))
    return found
