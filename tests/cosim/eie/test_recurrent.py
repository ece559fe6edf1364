"""Recurrent layers on the RTL of the array: every bit and every cycle."""

from __future__ import annotations

import numpy as np
import pytest
from support.recurrent_networks import NETWORKS, network, sequences

from zeroskip.cosim.verify import verify
from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold

GEOMETRY = EieGeometry(pes=4, entry_words=4096, pointers=4096, activation_rows=128, layers=32)
"""One array for all of them, so that it is built once."""


@pytest.mark.parametrize("name", NETWORKS)
def test_every_bit_and_every_cycle(name: str) -> None:
    inputs = sequences(name).numpy()
    made = compile_network(share_layers(fold(network(name), sequences(name)), inputs=inputs), inputs, GEOMETRY)
    quantised = quantise_inputs(made, inputs[:2])[0]
    result = verify(made, quantised)

    predicted = cycles.run(made, [layer.inputs for layer in golden.run(made, quantised)])
    assert (result.mismatches, result.cycle_model_equal) == (0, True)
    assert np.array_equal(result.raw, golden.outputs(made, quantised))
    assert result.cycles.tolist() == (predicted.sum(axis=1) + made.starts_per_image).tolist()
