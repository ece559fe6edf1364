"""Networks with branches on the RTL of the tile: every bit and every cycle."""

from __future__ import annotations

import numpy as np
import pytest
from support.graphs import images, network

from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.verify import verify
from zeroskip.model.cores import load_core


@pytest.mark.parametrize("name", ["inverted residual", "inception", "the end is an addition", "U-Net"])
def test_every_bit_and_every_cycle(name: str) -> None:
    core = load_core("mma")
    compiled = core.compile(network(name), images().numpy(), core.settings_type())
    inputs = images().numpy()[:3]
    result = verify(compiled, load_driver("mma").encode(compiled, inputs, saturate=False)[0])
    assert (result.mismatches, result.cycle_model_equal) == (0, True)
    assert np.array_equal(result.outputs, core.outputs(compiled, inputs))
