"""A language model whose weights are shared by what its layers read, on the RTL: every bit and every cycle."""

from __future__ import annotations

import dataclasses

import pytest
import torch
from support.language_models import GEOMETRY, LENGTH, TEXT, language_model
from support.on_the_array import verified
from torch import Tensor, nn

from zeroskip.model.data.text import encode


def pruned_model() -> tuple[nn.Module, Tensor]:
    inputs = torch.from_numpy(encode(TEXT, "text")[: 24 * LENGTH].reshape(24, LENGTH)).float()
    module = language_model("gpt")
    with torch.no_grad():
        # Pruned weights too.
        module.blocks[0].up.weight *= torch.rand(module.blocks[0].up.weight.shape) < 0.5
    return module, inputs


@pytest.mark.parametrize("sharing", ["feedback", "scaled"])
def test_every_bit_and_every_cycle(sharing: str) -> None:
    assert verified(*pruned_model(), GEOMETRY, sharing).mismatches == 0


@pytest.mark.slow
def test_with_a_codebook_for_each_eight_columns() -> None:
    """Layers of 8 inputs have one, the last of the block, of 32 inputs, four."""
    grouped = dataclasses.replace(GEOMETRY, codebook_groups=4, codebook_columns=8)
    assert verified(*pruned_model(), grouped, "feedback").mismatches == 0
