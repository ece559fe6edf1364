"""Networks with branches on the N:M tile: its layers in fp16, and what joins them in fp32."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from support.graphs import DECODERS, NETWORKS, images, network

from zeroskip.model.cores import load_core


@pytest.mark.parametrize("name", [*NETWORKS, *DECODERS])
def test_it_is_as_close_to_torch_as_fp16_is(name: str) -> None:
    """Three layers one after another lose at most about three roundings of 11 bits."""
    module, inputs, core = network(name), images().numpy(), load_core("mma")
    compiled = core.compile(module, inputs, core.settings_type())
    with torch.no_grad():
        wanted = module(torch.from_numpy(inputs)).flatten(1).numpy()
    outputs = core.outputs(compiled, inputs)
    assert outputs.shape == wanted.shape
    assert np.abs(outputs - wanted).max() <= 2**-8 * np.abs(wanted).max()
