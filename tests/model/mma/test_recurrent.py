"""Recurrent layers on the N:M tile: its layers in fp16, and the host's part in fp32."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from support.recurrent_networks import NETWORKS, network, sequences

from zeroskip.model.cores import load_core
from zeroskip.model.mma.bundle import load


@pytest.mark.parametrize("name", NETWORKS)
def test_it_is_as_close_to_torch_as_fp16_is(name: str, tmp_path: Path) -> None:
    """Also from its file."""
    module, inputs, core = network(name), sequences(name), load_core("mma")
    compiled = core.compile(module, inputs.numpy(), core.settings_type())
    with torch.no_grad():
        wanted = module(inputs.long() if name == "language model" else inputs).flatten(1).numpy()
    outputs = core.outputs(compiled, inputs.numpy())
    assert outputs.dtype == np.float32
    assert np.abs(outputs - wanted).max() <= 2**-8 * np.abs(wanted).max()
    core.save(compiled, tmp_path / "network.zs")
    assert np.array_equal(core.outputs(load(tmp_path / "network.zs"), inputs.numpy()), outputs)
