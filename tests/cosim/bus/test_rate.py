"""AXI4-Stream costs little of the throughput that the bare ports have."""

from __future__ import annotations

import numpy as np
import pytest
from support.networks import random_inputs, random_network

from zeroskip.cosim.bus.rate import stream_rate
from zeroskip.model.eie.geometry import EieGeometry

SIZES = (784, 300, 100, 10)
"""LeNet-300-100."""


@pytest.mark.slow
@pytest.mark.parametrize("stream_bits", [64, 32])
def test_lenet_300_100(stream_bits: int) -> None:
    """At least 95 % with 16 PEs, in the density to which Deep Compression prunes it, on images a fifth of which is not
    zero: with a bus as wide as the load port, and with half of it."""
    rng = np.random.default_rng(6)
    network = random_network(rng, EieGeometry(pes=16), SIZES, 0.08)
    rate = stream_rate(network, random_inputs(rng, 12, SIZES[0], (0.2,)), stream_bits=stream_bits)
    print(rate)
    assert 0.95 <= rate["ratio"] <= 1
