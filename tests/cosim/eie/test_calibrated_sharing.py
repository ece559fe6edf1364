"""A language model whose weights are shared by what its layers read, on the RTL: every bit and every cycle."""

from __future__ import annotations

import pytest
import torch
from support.language_models import GEOMETRY, LENGTH, TEXT, language_model
from support.on_the_array import verified

from zeroskip.model.data.text import encode


@pytest.mark.parametrize("sharing", ["feedback", "scaled"])
def test_every_bit_and_every_cycle(sharing: str) -> None:
    inputs = torch.from_numpy(encode(TEXT, "text")[: 24 * LENGTH].reshape(24, LENGTH)).float()
    module = language_model("gpt")
    with torch.no_grad():
        # Pruned weights too.
        module.blocks[0].up.weight *= torch.rand(module.blocks[0].up.weight.shape) < 0.5
    assert verified(module, inputs, GEOMETRY, sharing).mismatches == 0
