"""The size of a compiled network in the tile's memories, compared with the dense network."""

from __future__ import annotations

from zeroskip.model.core import StoredBits
from zeroskip.model.mma.bundle import MmaNetwork

DENSE_BITS = 32
"""Width of a weight or bias of the dense network, a float."""


def stored_bits(network: MmaNetwork) -> StoredBits:
    """Counts the kept values of each operand with those that fill groups up, the code of each group, and the biases.
    In the dense network every layer counts with a bias; the zeros between the groups of a convolution do not count."""
    geometry = network.geometry
    dense = image = 0
    for layer, operand, weights in zip(network.layers, network.operands, network.weight_counts, strict=True):
        dense += DENSE_BITS * (weights + layer.outputs)
        codes = 0 if operand.codes is None else operand.codes.size * geometry.pattern.code_bits
        image += operand.values.size * geometry.operand.bits + codes + layer.outputs * geometry.result.bits
    return StoredBits(dense=dense, image=image)
