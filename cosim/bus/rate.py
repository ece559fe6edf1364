"""How fast an array is behind AXI4-Stream, beside its bare ports."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from zeroskip.cosim.bus.design import axi_design
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.eie import bundle
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.rtl.eie.fetch import fetch_latency


def stream_rate(network: EieNetwork, inputs: NDArray[np.int16], *, stream_bits: int) -> dict[str, Any]:
    """Runs images (int16, images x inputs) over AXI4-Stream without pauses; the results are checked.

    Returns the mean cycles from one result to the next, those of bare ports, and their ratio. With bare ports, an image
    takes at least: a cycle for each word of inputs, the run, a cycle for each result, and the cycles until the last of
    them comes, before the next word is taken.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle.save(network, folder / "network.zs")
        np.save(folder / "inputs.npy", inputs)
        axi_design(network.geometry, stream_bits).build(Simulator.VERILATOR).run(
            bench="zeroskip.cosim.bus.rate_bench",
            folder=folder,
            plusargs={
                "network": folder / "network.zs",
                "inputs": folder / "inputs.npy",
                "stream_bits": str(stream_bits),
                "rate": folder / "rate.json",
            },
        )
        measured = json.loads((folder / "rate.json").read_text())
    words = -(-network.inputs // network.geometry.activation_lanes)
    # From the first result to the last one: all images but the first.
    runs = float(np.mean(measured["runs"][1:]))
    bare = words + runs + network.layers[-1].outputs + fetch_latency(network.geometry)
    return {
        "pes": network.geometry.pes,
        "stream_bits": stream_bits,
        "run_cycles": runs,
        "bare_cycles": bare,
        "stream_cycles": measured["cycles"],
        "ratio": bare / measured["cycles"],
    }
