"""Bits of a network on the tile, counted by hand."""

import numpy as np
from torch import nn

from zeroskip.model.mma.compiler import compile_network, rounded_to_zero
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.storage import stored_bits


def _sparse_layer() -> nn.Linear:
    """16 x 16 with two weights kept of every four."""
    layer = nn.Linear(16, 16)
    layer.weight.data.fill_(0.5)
    layer.weight.data[:, 2::4] = layer.weight.data[:, 3::4] = 0
    return layer


def test_values_codes_and_biases() -> None:
    stored = stored_bits(compile_network(_sparse_layer(), (16,), TileGeometry()))

    assert stored.dense == 32 * (16 * 16 + 16)
    # 8 fp16 values a row, a code of 4 bits for each of its 4 groups, a bias in fp32.
    assert stored.image == 16 * (8 * 16 + 4 * 4 + 32)


def test_weights_that_vanish_in_the_format() -> None:
    layer = _sparse_layer()
    layer.weight.data[3, 0] = 1e-9
    layer.weight.data[4, 1] = -1e-9

    assert rounded_to_zero(layer, "fp16") == 2
    assert rounded_to_zero(layer, "bf16") == 0
    assert np.isfinite(stored_bits(compile_network(layer, (16,), TileGeometry())).ratio)
