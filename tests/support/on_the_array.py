"""Networks on the golden model and on the RTL of the EIE array: what must hold for every one of them."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from zeroskip.cosim.verify import verify
from zeroskip.model.eie import cycles, golden
from zeroskip.model.eie.bundle import EieNetwork, load, save
from zeroskip.model.eie.compiler import compile_network, error_bound, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import MEMORIES, EieGeometry
from zeroskip.model.eie.settings import Sharing
from zeroskip.model.eie.shared import SharedOperation, to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold
from zeroskip.model.network.samples import SampleForm


def compiled(
    module: nn.Module, inputs: Tensor, *, balance_load: bool = False, **sizes: int
) -> tuple[list[SharedOperation], EieNetwork]:
    """The network with shared weights, and compiled for an array of these sizes, whose memories fit it."""
    values = inputs.numpy()
    shared = share_layers(fold(module, inputs), inputs=values)
    geometry = EieGeometry(**{"pes": 4, **sizes})
    return shared, compile_network(shared, values, geometry, fit=MEMORIES, balance_load=balance_load)


def assert_close(shared: list[SharedOperation], made: EieNetwork, inputs: Tensor, *, within: float | None) -> None:
    """Nothing saturates on the data of the calibration, so the bound holds; torch computes the same shared weights. No
    difference is above `within` of the largest output."""
    outputs, losses = golden.outputs_and_losses(made, quantise_inputs(made, inputs.numpy())[0])
    assert sum(loss.saturated for loss in losses) == 0
    float_network = to_module(shared).double()
    given = inputs.double() if float_network.images else inputs.double().flatten(1)
    with torch.no_grad():
        wanted = float_network(given).numpy()
    difference = np.abs(float_outputs(made, outputs) - wanted)
    assert np.all(difference <= error_bound(made, shared, inputs.numpy()) + 1e-9)
    if within is not None:
        assert difference.max() <= within * np.abs(wanted).max()


def assert_kept(made: EieNetwork, inputs: Tensor, path: Path) -> None:
    """A file keeps the stages, the form of the samples, and what the network gives."""
    made = dataclasses.replace(made, samples=SampleForm.of(inputs.numpy()))
    save(made, path)
    again = load(path)
    assert (again.stages, again.samples) == (made.stages, made.samples)
    quantised = quantise_inputs(again, inputs.numpy())[0]
    assert np.array_equal(golden.outputs(again, quantised), golden.outputs(made, quantised))


def verified(module: nn.Module, inputs: Tensor, geometry: EieGeometry, sharing: Sharing = "plain") -> Any:
    """The result of the RTL on two samples: every bit is that of the golden model, every cycle that of the cycle
    model."""
    values = inputs.numpy()
    shared = share_layers(fold(module, inputs), inputs=values, sharing=sharing)
    made = compile_network(shared, values, geometry)
    quantised = quantise_inputs(made, values[:2])[0]
    result = verify(made, quantised)

    predicted = cycles.run(made, [layer.inputs for layer in golden.run(made, quantised)])
    assert (result.mismatches, result.cycle_model_equal) == (0, True)
    assert np.array_equal(result.raw, golden.outputs(made, quantised))
    assert result.cycles.tolist() == (predicted.sum(axis=1) + made.starts_per_image).tolist()
    return result
