"""Layers and functions that are traced as others, on the golden model of the array."""

from __future__ import annotations

import pytest
from support.equivalent_networks import network, sequences
from support.on_the_array import assert_close, compiled

NAMES = ("LSTMCell", "GRUCell", "cross-attention", "encoder and decoder", "unit vectors", "matrix of tokens", "GLU")


@pytest.mark.parametrize("name", NAMES)
def test_the_golden_model_is_as_close_to_torch_as_stated(name: str) -> None:
    assert_close(*compiled(network(name), sequences()), sequences(), within=0.02)
