"""AXI4-Stream, and lists in memory, cost little of the throughput that the bare ports have."""

from __future__ import annotations

import pytest

from zeroskip.cosim.bus.rate import list_rate, made_up_lenet, stream_rate


@pytest.mark.slow
@pytest.mark.parametrize("stream_bits", [64, 32])
def test_lenet_300_100(stream_bits: int) -> None:
    """At least 95 % with 16 PEs: over a bus as wide as the load port, and over one of half of it."""
    rate = stream_rate(*made_up_lenet(12), stream_bits=stream_bits)
    assert 0.95 <= rate["ratio"] <= 1, rate


@pytest.mark.slow
def test_lists_of_lenet_300_100() -> None:
    rate = list_rate(*made_up_lenet(12))
    assert 0.95 <= rate["ratio"] <= 1, rate
