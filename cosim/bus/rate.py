"""How fast an array is behind AXI4-Stream, and with lists in memory, beside its bare ports."""

from __future__ import annotations

import json
import tempfile
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.build import Design
from zeroskip.cosim.bus.design import bus_design, list_design
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.eie import bundle
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, quantise_inputs
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.shared import CODEBOOK_SIZE, SharedLayer
from zeroskip.rtl.eie.fetch import fetch_latency

LENET = (784, 300, 100, 10)
"""Inputs and outputs of the layers of LeNet-300-100."""

LENET_GEOMETRY = EieGeometry(pes=16, entry_words=512, pointers=2048, activation_rows=64, layers=4)

DENSITY, NONZERO = 0.08, 0.2
"""The share of weights that Deep Compression leaves in LeNet-300-100, and that of pixels of MNIST that are not zero."""


def made_up_lenet(images: int, geometry: EieGeometry = LENET_GEOMETRY) -> tuple[EieNetwork, NDArray[np.int16]]:
    """Random layers of the sizes of LeNet-300-100, and images (int16, images x inputs)."""
    rng = np.random.default_rng(0)
    layers = []
    for index, shape in enumerate(pairwise(LENET)):
        codes = rng.integers(1, CODEBOOK_SIZE, shape[::-1]).astype(np.uint8)
        codes[rng.random(codes.shape) >= DENSITY] = 0
        codebook = np.concatenate([[0], rng.uniform(-0.5, 0.5, CODEBOOK_SIZE - 1)]).astype(np.float32)
        relu = index < len(LENET) - 2
        layers.append(SharedLayer(codebook=codebook, weight_codes=codes, bias_codes=None, relu=relu))
    samples = rng.uniform(0, 1, (images, LENET[0])).astype(np.float32)
    samples[rng.random(samples.shape) >= NONZERO] = 0
    network = compile_network(layers, samples, geometry)
    return network, quantise_inputs(network, samples)[0]


def stream_rate(network: EieNetwork, inputs: NDArray[np.int16], *, stream_bits: int) -> dict[str, Any]:
    """Runs images (int16, images x inputs) over AXI4-Stream without pauses; the results are checked.

    Returns the mean cycles from one result to the next, those of bare ports, and their ratio. With bare ports, an image
    takes at least: a cycle for each word of inputs, the run, a cycle for each result, and the cycles until the last of
    them comes, before the next word is taken.
    """
    design = bus_design("axi", network.geometry, stream_bits)
    more = {"bus": "axi", "stream_bits": str(stream_bits)}
    return {"stream_bits": stream_bits, **_rate(design, "zeroskip.cosim.bus.rate_bench", network, inputs, more)}


def list_rate(network: EieNetwork, inputs: NDArray[np.int16]) -> dict[str, Any]:
    """The same for a list of images in a memory on AXI4 that never pauses, in which each image is read while the one
    before it runs."""
    return _rate(list_design(network.geometry), "zeroskip.cosim.bus.list_rate_bench", network, inputs, {})


def _rate(
    design: Design, bench: str, network: EieNetwork, inputs: NDArray[np.int16], more: dict[str, str]
) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle.save(network, folder / "network.zs")
        np.save(folder / "inputs.npy", inputs)
        design.build(Simulator.VERILATOR).run(
            bench=bench,
            folder=folder,
            plusargs={
                "network": folder / "network.zs",
                "inputs": folder / "inputs.npy",
                "rate": folder / "rate.json",
                **more,
            },
        )
        measured = json.loads((folder / "rate.json").read_text())
    words = -(-network.inputs // network.geometry.activation_lanes)
    # From the first result to the last one: all images but the first.
    runs = float(np.mean(measured["runs"][1:]))
    bare = words + runs + network.layers[-1].outputs + fetch_latency(network.geometry)
    return {
        "pes": network.geometry.pes,
        "run_cycles": runs,
        "bare_cycles": bare,
        "bus_cycles": measured["cycles"],
        "ratio": bare / measured["cycles"],
    }
