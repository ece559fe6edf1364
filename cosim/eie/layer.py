"""Runs a layer from a file on the RTL and compares it with its float product."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.eie.viewer import EieViewer
from zeroskip.cosim.record import record_network, require_viewable
from zeroskip.cosim.records import Records
from zeroskip.cosim.simulator import LoadName, Simulator
from zeroskip.cosim.verify import Verification, verify
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, error_bound, quantise_inputs
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.layer import spread_bias
from zeroskip.model.eie.layer_npz import LayerFile
from zeroskip.model.progress import Progress, silent

LIKELY_INPUTS = 64
"""Inputs for which the load is balanced."""


@dataclass(frozen=True, kw_only=True, eq=False)
class LayerOnRtl:
    """`outputs` (float64, outputs) are the values of the raw outputs; `difference` is the largest distance of an output
    from the float product, `bound` the largest allowed distance; `within` is true if every output is within its
    bound."""

    network: EieNetwork
    verification: Verification
    outputs: NDArray[np.float64]
    difference: float
    bound: float
    within: bool
    sessions: tuple[Path, ...]
    """Sessions beside the waveform that was recorded."""


def run_layer(
    file: LayerFile,
    geometry: EieGeometry,
    *,
    fit: list[str],
    balance_load: bool,
    simulator: Simulator,
    load: LoadName,
    records: Records,
    name: str,
    progress: Progress = silent,
) -> LayerOnRtl:
    """Runs the layer on the RTL, with the memories named in `fit` as large as it needs, and once more where `records`
    are wanted, which call it `name`. Raises ValueError where the viewer cannot show so many cycles."""
    spread = spread_bias(file)
    layers, inputs = [spread.layer], spread.inputs[None]
    network = compile_network(
        layers,
        inputs,
        geometry,
        fit=fit,
        balance_load=balance_load,
        balance_on=_likely(spread.inputs, len(file.activations)) if balance_load else None,
    )
    quantised = quantise_inputs(network, inputs)[0]
    viewer = None
    if records.viewer is not None:
        viewer = EieViewer(network, quantised)
        require_viewable(viewer, 1, "layer", smaller="a smaller layer")
    verification = verify(network, quantised, simulator=simulator, load=load)
    sessions: tuple[Path, ...] = ()
    if records.wanted:
        sessions = record_network(
            network,
            quantised,
            records,
            name=name,
            viewer=viewer,
            simulator=simulator,
            load=load,
            seed=0,
            progress=progress,
        )
    outputs = verification.outputs[0]

    weight = file.codebook.astype(np.float64)[file.codes]
    expected = weight @ file.activations.astype(np.float64)
    if file.bias is not None:
        expected = expected + file.bias
    # With a single layer, reordering rows moves bounds but does not change them.
    bound = error_bound(network, layers, inputs)[0] + np.abs(spread.left)
    difference = np.abs(outputs - expected)
    return LayerOnRtl(
        network=network,
        verification=verification,
        outputs=outputs,
        difference=float(difference.max()),
        bound=float(bound.max()),
        within=bool(np.all(difference <= bound)),
        sessions=sessions,
    )


def _likely(inputs: NDArray[np.float32], free: int) -> NDArray[np.float32]:
    """Other inputs that the layer might have (float32, samples x inputs): the first `free` are shuffled, the others,
    which represent the bias, stay. The file has one run's activations, and the load is balanced for any run."""
    likely = np.tile(inputs, (LIKELY_INPUTS, 1))
    np.random.default_rng(0).permuted(likely[:, :free], axis=1, out=likely[:, :free])
    return likely
