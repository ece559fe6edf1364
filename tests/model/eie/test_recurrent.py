"""Recurrent layers on the golden model of the array: close to torch, and kept in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from support.forging import forge
from support.on_the_array import assert_close, assert_kept, compiled
from support.recurrent_networks import NETWORKS, network, sequences

from zeroskip.model.eie.bundle import load, save
from zeroskip.model.network.container import BundleError


@pytest.mark.parametrize("name", NETWORKS)
def test_the_golden_model_is_as_close_to_torch_as_stated(name: str) -> None:
    assert_close(*compiled(network(name), sequences(name)), sequences(name), within=0.01)


@pytest.mark.parametrize("name", ["LSTM", "both directions", "language model"])
def test_files_keep_recurrent_layers(name: str, tmp_path: Path) -> None:
    _, made = compiled(network(name), sequences(name))
    assert_kept(made, sequences(name), tmp_path / "network.zs")


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"cell": "transformer"}, r"stages\[1\]: cell must be one of lstm, gru, rnn_tanh, rnn_relu, not 'transformer'"),
        ({"cell": "gru"}, r"stages\[1\] needs 18 sums of 6 values, but layers\[1\] gives 24 of 6"),
        ({"steps": 8}, r"stages\[1\] takes 192 values an image, but the step before it gives 168"),
        ({"steps": 0}, r"stages\[1\]: steps must be an integer from 1 to 268,435,456, not 0"),
        ({"layer": 0}, r"stages\[1\] must continue with layer 1 of 3, not use 0 to 0 \(layer\)"),
    ],
)
def test_files_that_are_wrong_are_refused(fields: dict[str, Any], message: str, tmp_path: Path) -> None:
    _, made = compiled(network("LSTM"), sequences("LSTM"))
    save(made, tmp_path / "network.zs")
    forge(tmp_path / "network.zs", lambda header, tensors: header["stages"][1].update(fields))
    with pytest.raises(BundleError, match=message):
        load(tmp_path / "network.zs")
