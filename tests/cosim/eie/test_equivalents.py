"""Layers and functions that are traced as others, on the RTL of the array: every bit and every cycle."""

from __future__ import annotations

import pytest
from support.equivalent_networks import network, sequences
from support.on_the_array import verified

from zeroskip.model.eie.geometry import EieGeometry

GEOMETRY = EieGeometry(pes=4, entry_words=4096, pointers=4096, activation_rows=128, layers=32)
"""That of the other small networks, so that it is built once."""


@pytest.mark.parametrize(
    "name", ["LSTMCell", "GRUCell", "decoder", "attention of learned queries", "convolution", "windows"]
)
def test_every_bit_and_every_cycle(name: str) -> None:
    result = verified(network(name), sequences(), GEOMETRY)
    assert result.mismatches == 0
