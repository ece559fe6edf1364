"""Sequences and tokens on the RTL of the array: every bit and every cycle."""

from __future__ import annotations

import pytest
from support.on_the_array import verified
from support.sequences import NETWORKS, network, sequences

from zeroskip.model.eie.geometry import EieGeometry

GEOMETRY = EieGeometry(pes=4, entry_words=4096, pointers=4096, activation_rows=128, layers=32)
"""One array for all of them, so that it is built once."""


@pytest.mark.parametrize("name", NETWORKS)
def test_every_bit_and_every_cycle(name: str) -> None:
    result = verified(network(name), sequences(name), GEOMETRY)
    assert result.mismatches == 0
