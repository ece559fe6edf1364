"""A network laid out anew for other numbers of PEs: the same weights, and the same outputs."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks import random_inputs, random_network, small_conv_network

from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import FitError
from zeroskip.model.eie.format import local_rows
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.lay_out import relaid


@pytest.mark.parametrize("pes", [1, 2, 8, 32])
def test_outputs_are_the_same(pes: int) -> None:
    rng = np.random.default_rng(pes)
    network = random_network(rng, EieGeometry(pes=4), (70, 40, 9), 0.2)
    laid = relaid(network, pes)
    inputs = random_inputs(rng, 8, 70, [1.0])
    assert laid.geometry.pes == pes
    assert np.array_equal(golden.outputs(laid, inputs), golden.outputs(network, inputs))
    for index in range(2):
        assert np.array_equal(laid.weights(index), network.weights(index))


def test_a_convolution_keeps_its_outputs() -> None:
    rng = np.random.default_rng(0)
    network = small_conv_network(rng, EieGeometry(pes=4))
    inputs = random_inputs(rng, 4, network.inputs, [1.0])
    assert np.array_equal(golden.outputs(relaid(network, 2), inputs), golden.outputs(network, inputs))


def test_memories_are_as_large_as_needed() -> None:
    """By hand: 3 inputs and no padding, so that a PE has as many entries as weights in its rows."""
    network = random_network(np.random.default_rng(1), EieGeometry(pes=4), (3, 90), 1.0)
    laid = relaid(network, 2)
    columns = network.layers[0].columns
    entries = columns * int(local_rows(90, 2).max())
    assert laid.geometry.entry_words == 1 << (-(-entries // 8) - 1).bit_length()
    assert laid.geometry.pointers == 1 << columns.bit_length()
    assert laid.geometry.activation_rows == 64  # 45, at 32 rows in a window


def test_a_memory_that_keeps_its_size_may_be_too_small() -> None:
    network = random_network(np.random.default_rng(1), EieGeometry(pes=4, entry_words=32), (70, 40, 9), 0.2)
    with pytest.raises(FitError, match=r"entry_words is 32 and \d+ are needed"):
        relaid(network, 1, fit=("pointers", "activation_rows", "layers"))


def test_numbers_of_pes_are_powers_of_two() -> None:
    network = random_network(np.random.default_rng(1), EieGeometry(pes=4), (70, 40, 9), 0.2)
    with pytest.raises(ValueError, match=r"^pes must be a power of two from 1 to 256, not 3$"):
        relaid(network, 3)
