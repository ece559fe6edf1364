"""What prunes says which sequence networks it does not take."""

from __future__ import annotations

import pytest
from support.sequences import network, sequences
from torch import nn

from zeroskip.model.data.digits import load_digits
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.pruning.data_checks import require_compilable
from zeroskip.model.pruning.permute import permute


def test_recurrent_layers_and_attention_are_not_pruned() -> None:
    for layer in (nn.LSTM(4, 4), nn.GRU(4, 4), nn.MultiheadAttention(4, 2), nn.ConvTranspose2d(4, 4, 2)):
        with pytest.raises(
            ValueError, match=rf"^layer '0' is a {type(layer).__name__}, which is not pruned; supported"
        ):
            require_compilable(nn.Sequential(layer), load_digits())


def test_convolutions_of_sequences_are_not_pruned() -> None:
    with pytest.raises(ValueError, match=r"^layer 'a' is a Conv1d, which is not pruned; supported in what prunes: "):
        require_compilable(network("convolutions"), load_digits())


def test_moved_channels_are_not_permuted() -> None:
    with pytest.raises(
        ValueError, match=r"^operation 'getitem' moves or joins values; channels are permuted where each layer "
    ):
        permute(network("first token"), Pattern.parse("2:4"), seed=0, samples=sequences("first token"))
