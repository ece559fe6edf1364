"""Sequences and tokens on the golden model of the array: close to torch, and kept in files."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import torch
from support.sequences import NETWORKS, network, sequences

from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork, load, save
from zeroskip.model.eie.compiler import compile_network, error_bound, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.shared import SharedOperation, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold
from zeroskip.model.network.samples import SampleForm


def compiled(
    name: str, *, pes: int = 4, balance_load: bool = False, zeros: slice | None = None
) -> tuple[list[SharedOperation], EieNetwork]:
    """`zeros` are outputs of the layer `back` that have one weight."""
    inputs, module = sequences(name).numpy(), network(name)
    if zeros is not None:
        module.back.weight.data[zeros, 1:] = 0
    shared = share_layers(fold(module, sequences(name)), inputs=inputs)
    geometry = EieGeometry(pes=pes)
    made = compile_network(shared, inputs, geometry, fit=MEMORIES, balance_load=balance_load)
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
    assert difference.max() <= 0.004 * np.abs(wanted).max()


@pytest.mark.parametrize("name", ["convolutions", "mixer", "heads"])
def test_files_keep_sequences(name: str, tmp_path: Path) -> None:
    _, made = compiled(name)
    save(made, tmp_path / "network.zs")
    again = load(tmp_path / "network.zs")
    assert (again.stages, again.samples) == (made.stages, made.samples)
    quantised = quantise_inputs(again, sequences(name).numpy())[0]
    assert np.array_equal(golden.outputs(again, quantised), golden.outputs(made, quantised))


def test_balance_keeps_the_outputs_of_each_token() -> None:
    """The heavy rows would all be those of one PE."""
    _, plain = compiled("linear", pes=2, zeros=slice(1, None, 2))
    _, balanced = compiled("linear", pes=2, zeros=slice(1, None, 2), balance_load=True)
    assert not np.array_equal(balanced.order, plain.order)
    quantised = quantise_inputs(plain, sequences("linear").numpy())[0]
    assert np.array_equal(golden.outputs(balanced, quantised), golden.outputs(plain, quantised))
