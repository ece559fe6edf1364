"""Recurrent layers on the RTL of the tile: every bit and every cycle."""

from __future__ import annotations

import numpy as np
import pytest
from support.recurrent_networks import network, sequences

from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.verify import verify
from zeroskip.model.cores import load_core


@pytest.mark.parametrize("name", ["LSTM", "both directions", "language model"])
def test_every_bit_and_every_cycle(name: str) -> None:
    core, inputs = load_core("mma"), sequences(name).numpy()
    compiled = core.compile(network(name), inputs, core.settings_type())
    result = verify(compiled, load_driver("mma").encode(compiled, inputs[:3], saturate=False)[0])
    assert (result.mismatches, result.cycle_model_equal) == (0, True)
    assert np.array_equal(result.outputs, core.outputs(compiled, inputs[:3]))
