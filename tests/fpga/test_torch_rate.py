"""What is measured in torch is the network that runs on the board."""

from __future__ import annotations

from importlib import import_module
from types import SimpleNamespace

import numpy as np
import pytest
from support.tile_networks import conv

import zeroskip.fpga.torch_rate as torch_rates
from zeroskip.fpga.torch_rate import run_in_torch, torch_rate
from zeroskip.model.cores import CORES, load_core
from zeroskip.model.eie.tiles import one_by_one
from zeroskip.model.warned import heard


@pytest.mark.parametrize("name", CORES)
def test_torch_computes_what_the_core_computes(name: str) -> None:
    """But for the rounding of activations. Convolutions with groups, pooling, layers with and without bias."""
    inputs = np.random.default_rng(0).standard_normal((6, 1, 12, 12), np.float32)
    core = load_core(name)
    network = core.compile(conv().eval(), inputs, core.settings_type())
    layers = import_module(f"zeroskip.fpga.{name}.dense").dense_layers(network)
    stages = one_by_one(network.stages)
    found = run_in_torch(stages, layers, network.flat(inputs))
    order = getattr(network, "order", np.arange(network.outputs))
    expected = core.outputs(network, inputs)
    assert np.abs(found[:, order] - expected).max() < 0.01 * np.abs(expected).max()
    rate = torch_rate(stages, layers, network.flat(inputs))
    assert rate.together > 0
    assert rate.one_by_one > 0


@pytest.mark.filterwarnings("ignore:torch took")
@pytest.mark.parametrize(("times", "warned"), [(50, True), (1, False)])
def test_a_disturbed_measurement_is_told(monkeypatch: pytest.MonkeyPatch, times: int, warned: bool) -> None:
    """A batch of 10 images takes as long as `times` times 10 single ones."""
    clock = [0.0]

    def run(stages: object, layers: object, batch: np.ndarray) -> None:
        clock[0] += 0.001 if len(batch) == 1 else 0.01 * times

    monkeypatch.setattr(torch_rates, "run_in_torch", run)
    monkeypatch.setattr(torch_rates, "time", SimpleNamespace(perf_counter=lambda: clock[0]))
    with heard() as told:
        rate = torch_rate([], [], np.zeros((10, 3), np.float32))
    assert rate.one_by_one == pytest.approx(1000)
    assert rate.together == pytest.approx(1000 / times)
    assert [text[:24] for text in told] == (["torch took 50.0 times as"] if warned else [])
