"""Recurrent layers: what is read of networks computes what torch computes, and what cannot be read is named."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
import torch
from support.recurrent_networks import NETWORKS, Parts, network, sequences
from torch import Tensor

from zeroskip.model.network.fold import fold


@pytest.mark.parametrize("name", NETWORKS)
def test_a_folded_network_computes_what_torch_computes(name: str) -> None:
    module, inputs = network(name), sequences(name)
    folded = fold(module, inputs)
    with torch.no_grad():
        wanted = module(inputs.long() if name == "language model" else inputs).flatten(1)
        assert (folded(inputs.flatten(1)) - wanted).abs().max() <= 1e-5 * wanted.abs().max()


REFUSED: dict[str, tuple[Callable[[Parts, Tensor], Tensor], str]] = {
    "cells": (
        lambda m, x: m.head(m.lstm(x)[1][1][0]),
        "operation 'getitem_1' takes another result than supported of 'getitem'; supported: the values of an attention",
    ),
    "first state": (
        lambda m, x: m.gru(x, torch.ones(1, len(x), 6))[0],
        "layer 'gru' is given a first state; supported: zeros, as without one",
    ),
    "state of the input": (
        lambda m, x: m.gru(x, x[None, :, 0, :1].expand(-1, -1, 6).contiguous())[0],
        "operation 'expand' makes values of shape (1, 3, 6) of (3, 7, 5), 3 samples; supported: values whose first dim",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_read_is_named(name: str) -> None:
    forward, message = REFUSED[name]
    with pytest.raises(ValueError, match=f"^{re.escape(message)}"):
        fold(Parts(forward).eval(), sequences("LSTM"))


def test_samples_must_be_first() -> None:
    module = network("LSTM")
    module.lstm.batch_first = False
    with pytest.raises(ValueError, match=r"^layer 'lstm' has batch_first=False, or a proj_size; supported: batch_fir"):
        fold(module, sequences("LSTM"))
