"""Recurrent layers on the golden model of the array: close to torch, and kept in files."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.numpy import load_file, save_file
from support.recurrent_networks import NETWORKS, network, sequences

from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork, load, save
from zeroskip.model.eie.compiler import compile_network, error_bound, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.shared import SharedOperation, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.container import BundleError, digest_of
from zeroskip.model.network.fold import fold
from zeroskip.model.network.samples import SampleForm


def compiled(name: str) -> tuple[list[SharedOperation], EieNetwork]:
    inputs = sequences(name).numpy()
    shared = share_layers(fold(network(name), sequences(name)), inputs=inputs)
    made = compile_network(shared, inputs, EieGeometry(pes=4), fit=MEMORIES)
    return shared, dataclasses.replace(made, samples=SampleForm.of(inputs))


@pytest.mark.parametrize("name", NETWORKS)
def test_the_golden_model_is_as_close_to_torch_as_stated(name: str) -> None:
    """Nothing saturates on the data of the calibration, so the bound holds; torch computes the same shared weights."""
    shared, made = compiled(name)
    inputs = sequences(name)
    outputs, losses = golden.outputs_and_losses(made, quantise_inputs(made, inputs.numpy())[0])
    assert sum(loss.saturated for loss in losses) == 0
    with torch.no_grad():
        wanted = to_module(shared).double()(inputs.double().flatten(1)).numpy()
    difference = np.abs(float_outputs(made, outputs) - wanted)
    assert np.all(difference <= error_bound(made, shared, inputs.numpy()) + 1e-9)
    assert difference.max() <= 0.01 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["LSTM", "both directions", "language model"])
def test_files_keep_recurrent_layers(name: str, tmp_path: Path) -> None:
    _, made = compiled(name)
    save(made, tmp_path / "network.zs")
    again = load(tmp_path / "network.zs")
    assert (again.stages, again.samples) == (made.stages, made.samples)
    quantised = quantise_inputs(again, sequences(name).numpy())[0]
    assert np.array_equal(golden.outputs(again, quantised), golden.outputs(made, quantised))


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
    _, made = compiled("LSTM")
    save(made, tmp_path / "network.zs")
    with safe_open(tmp_path / "network.zs", "np") as file:
        header = json.loads(file.metadata()["zeroskip"])
    tensors = load_file(tmp_path / "network.zs")
    header.pop("digest")
    header["stages"][1].update(fields)
    header["digest"] = digest_of(header, tensors)
    save_file(tensors, tmp_path / "network.zs", metadata={"zeroskip": json.dumps(header)})
    with pytest.raises(BundleError, match=message):
        load(tmp_path / "network.zs")
