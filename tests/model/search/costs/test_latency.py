"""Measured seconds, by a clock that only the measured network moves."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn

from zeroskip.model.search.costs import latency
from zeroskip.model.search.costs.latency import layer_seconds, median_seconds
from zeroskip.model.search.layers import read_layers


class Clock(nn.Module):
    """A network that takes the seconds that `cost` gives for its call, counted from 0."""

    def __init__(self, cost: Callable[[int], float]) -> None:
        super().__init__()
        self.cost, self.now, self.calls, self.threads = cost, 100.0, 0, set[int]()

    def forward(self, x: Tensor) -> Tensor:
        self.now += self.cost(self.calls)
        self.calls += 1
        self.threads.add(torch.get_num_threads())
        assert not torch.is_grad_enabled()
        return x


@pytest.mark.parametrize("seconds", [1e-6, 3e-4, 0.9])
def test_a_call_takes_what_it_takes(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    clock = Clock(lambda call: seconds)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock.now)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert median_seconds(clock, torch.zeros(1)) == pytest.approx(seconds, rel=1e-6)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
    assert clock.threads == {1}


def test_disturbed_timings_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each timing is of one call of 0.5 s; fewer than half of them take longer."""
    few = (latency.REPEATS - 1) // 2
    clock = Clock(lambda call: 0.5 if call >= few else 7.0)
    monkeypatch.setattr(latency.time, "perf_counter", lambda: clock.now)
    assert median_seconds(clock, torch.zeros(1)) == pytest.approx(0.5, rel=1e-9)
    assert clock.calls == latency.REPEATS


def test_a_layer_is_measured_with_its_shape(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(1)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, stride=2, padding=1),
        nn.Conv2d(8, 8, 3, groups=8, dilation=2, padding=2),
        nn.Flatten(),
        nn.Linear(8 * 5 * 4, 6),
    ).eval()
    layers = read_layers(network, torch.randn(2, 3, 10, 8).numpy())
    measured: list[tuple[str, tuple[int, ...], tuple[int, ...]]] = []

    def median(module: nn.Module, given: Tensor) -> float:
        measured.append((str(module), tuple(given.shape), tuple(module(given).shape)))
        return 12.0

    monkeypatch.setattr(latency, "median_seconds", median)
    asked = [(3, 5), (4, 4), (40, 6)]
    assert [layer_seconds(layer, some, 4) for layer, some in zip(layers, asked, strict=True)] == [3.0] * 3
    assert measured == [
        (str(nn.Conv2d(3, 5, 3, stride=2, padding=1)), (4, 3, 10, 8), (4, 5, 5, 4)),
        (str(nn.Conv2d(4, 4, 3, groups=4, dilation=2, padding=2)), (4, 4, 5, 4), (4, 4, 5, 4)),
        (str(nn.Linear(40, 6)), (4, 40), (4, 6)),
    ]
