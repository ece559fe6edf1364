"""Networks with branches on the RTL: every bit and every cycle, and the host's part between the stages."""

from __future__ import annotations

import pytest
from support.graphs import DECODERS, NETWORKS, images, network
from support.on_the_array import verified

from zeroskip.model.eie.geometry import EieGeometry

GEOMETRY = EieGeometry(pes=4, entry_words=4096, pointers=4096, activation_rows=128, layers=32)
"""One array for all of them, so that it is built once."""


@pytest.mark.parametrize("name", [*NETWORKS, *DECODERS])
def test_every_bit_and_every_cycle(name: str) -> None:
    result = verified(network(name), images(), GEOMETRY)
    assert result.saturated.get("sums") == 0
