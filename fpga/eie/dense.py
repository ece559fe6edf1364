"""A compiled network for the EIE array as dense layers of floats."""

from __future__ import annotations

import numpy as np

from zeroskip.fpga.torch_rate import DenseLayer
from zeroskip.model.eie.bundle import EieNetwork


def dense_layers(network: EieNetwork) -> list[DenseLayer]:
    """What torch computes with."""
    found = []
    for index, layer in enumerate(network.layers):
        matrix = network.weights(index).astype(np.float32) / np.float32(2.0**layer.weight_fraction)
        bias = matrix[:, layer.inputs] * np.float32(2.0**layer.bias_exponent) if layer.bias else None
        weights = np.ascontiguousarray(matrix[:, : layer.inputs])
        found.append(DenseLayer(weights=weights, bias=bias, relu=layer.relu))
    return found
