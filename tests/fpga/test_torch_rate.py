"""What is measured in torch is the network that runs on the board."""

from __future__ import annotations

from importlib import import_module

import numpy as np
import pytest
from support.tile_networks import conv

from zeroskip.fpga.torch_rate import run_in_torch, torch_rate
from zeroskip.model.cores import CORES, load_core


@pytest.mark.parametrize("name", CORES)
def test_torch_computes_what_the_core_computes(name: str) -> None:
    """But for the rounding of activations. Convolutions with groups, pooling, layers with and without bias."""
    inputs = np.random.default_rng(0).standard_normal((6, 1, 12, 12), np.float32)
    core = load_core(name)
    network = core.compile(conv().eval(), inputs, core.settings_type())
    layers = import_module(f"zeroskip.fpga.{name}.dense").dense_layers(network)
    found = run_in_torch(network.stages, layers, network.flat(inputs))
    order = getattr(network, "order", np.arange(network.outputs))
    expected = core.outputs(network, inputs)
    assert np.abs(found[:, order] - expected).max() < 0.01 * np.abs(expected).max()
    rate = torch_rate(network.stages, layers, network.flat(inputs))
    assert rate.together > 0
    assert rate.one_by_one > 0
