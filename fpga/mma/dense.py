"""A compiled network for the N:M tile as dense layers of floats."""

from __future__ import annotations

import numpy as np

from zeroskip.fpga.torch_rate import DenseLayer
from zeroskip.model.mma.bundle import PAD, MmaNetwork
from zeroskip.model.mma.convert import from_raw


def dense_layers(network: MmaNetwork) -> list[DenseLayer]:
    """What torch computes with."""
    found = []
    for layer, operand, columns, bias in zip(
        network.layers, network.operands, network.columns, network.biases, strict=True
    ):
        # The last column stands for all that multiply nothing.
        sources = np.append(np.where(columns == PAD, layer.inputs, columns), layer.inputs)
        places = sources[np.minimum(operand.where(), layer.columns)]
        weights = np.zeros((layer.outputs, layer.inputs + 1), np.float32)
        values = np.ldexp(from_raw(operand.values, network.geometry.dtype), -layer.weight_exponent)
        np.add.at(weights, (np.arange(layer.outputs)[:, None], places), values)
        found.append(
            DenseLayer(
                weights=np.ascontiguousarray(weights[:, : layer.inputs]),
                bias=np.ldexp(from_raw(bias, network.geometry.out), -layer.sum_exponent),
                relu=layer.relu,
            )
        )
    return found
