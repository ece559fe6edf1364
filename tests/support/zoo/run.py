"""What becomes of a network of the table on a core: compiled, as close to torch as stated, equal on the RTL; or
refused."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from support.zoo.entry import Entry

from zeroskip.cosim.drivers import load_driver
from zeroskip.cosim.verify import verify
from zeroskip.model.core import Core
from zeroskip.model.cores import load_core
from zeroskip.model.eie import golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, error_bound, float_outputs, quantise_inputs
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.shared import to_module
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.network.fold import fold

GEOMETRY = EieGeometry(pes=4, entry_words=8192, pointers=16384, activation_rows=512, layers=64)
"""One array for all networks."""

TILE_BOUND = 2.0**-8
"""The greatest difference from torch on the tile, relative to the largest output: its layers multiply in fp16."""


def run(entry: Entry, core: str, *, rtl_samples: int, geometry: EieGeometry = GEOMETRY) -> dict[str, Any]:
    """`difference` is the greatest from the float network, relative to the largest output. On the EIE array that
    network has the same shared weights, and each output has a bound of its own (error_bound), of which `of_bound` is
    the greatest share."""
    module, inputs = entry.module(), entry.inputs()
    try:
        fold(module, inputs)
    except ValueError as error:
        return {"refused": str(error)}
    made, found = _on_array(entry, geometry) if core == "eie" else _on_tile(entry)
    if rtl_samples:
        found["rtl"] = _on_rtl(made, core, inputs.numpy()[:rtl_samples])
    return found


def _on_array(entry: Entry, geometry: EieGeometry) -> tuple[EieNetwork, dict[str, Any]]:
    values = entry.inputs().numpy()
    shared = share_layers(fold(entry.module(), entry.inputs()), inputs=values)
    made = compile_network(shared, values, geometry)
    outputs, losses = golden.outputs_and_losses(made, quantise_inputs(made, values)[0])
    float_network = to_module(shared).double()
    given = torch.from_numpy(values).double()
    with torch.no_grad():
        wanted = float_network(given if float_network.images else given.flatten(1)).numpy()
    difference = np.abs(float_outputs(made, outputs) - wanted)
    bound = error_bound(made, shared, values) + 1e-9
    return made, {
        "difference": float(difference.max() / np.abs(wanted).max()),
        "of_bound": float((difference / bound).max()),
        "saturated": sum(loss.saturated for loss in losses),
        **_sizes(made),
    }


def _on_tile(entry: Entry) -> tuple[Any, dict[str, Any]]:
    core: Core[Any, Any] = load_core("mma")
    inputs = entry.inputs()
    made = core.compile(entry.module(), inputs.numpy(), core.settings_type())
    # The folded network gives what torch gives, but for a softmax at the end, which is left out.
    folded = fold(entry.module(), inputs)
    with torch.no_grad():
        wanted = folded(inputs if folded.images else inputs.flatten(1)).numpy()
    difference = np.abs(core.outputs(made, inputs.numpy()) - wanted)
    return made, {"difference": float(difference.max() / np.abs(wanted).max()), **_sizes(made)}


def _on_rtl(made: Any, core: str, inputs: NDArray[np.float32]) -> dict[str, Any]:
    result = verify(made, load_driver(core).encode(made, inputs, saturate=True)[0])
    return {
        "samples": len(inputs),
        "cycles": float(result.cycles.mean()),
        "values": result.values,
        "mismatches": result.mismatches,
        "cycle_model_equal": result.cycle_model_equal,
        "golden_equal": bool(np.array_equal(result.outputs, load_core(core).outputs(made, inputs))),
    }


def _sizes(made: Any) -> dict[str, Any]:
    return {"layers": len(made.layers), "stages": len(made.stages)}
