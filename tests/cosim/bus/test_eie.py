"""The EIE array on a bus: results of the golden model, cycles of the cycle model, and errors that change nothing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from support.networks import random_inputs, random_network
from support.rdl import facts

from zeroskip.cosim.bus.design import bus_design, list_design
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.eie import bundle
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.eie_map import eie_map

CASES = [
    pytest.param("axi", 2, 32, (31, 17, 5), id="axi-2-32"),
    pytest.param("axi", 4, 16, (29, 23, 6), id="axi-4-16"),
    pytest.param("axi", 4, 64, (70, 40, 9), id="axi-4-64", marks=pytest.mark.slow),
    pytest.param("axi", 1, 16, (20, 11, 3), id="axi-1-16", marks=pytest.mark.slow),
    pytest.param("apb", 2, 16, (22, 13, 4), id="apb-2-16"),
    pytest.param("wishbone", 2, 32, (22, 13, 4), id="wishbone-2-32"),
]


FILES = {"network": "network.zs", "inputs": "inputs.npy", "map": "map.json"}
"""What the benches read."""


@pytest.mark.parametrize(("bus", "pes", "stream_bits", "sizes"), CASES)
def test_bus(bus: str, pes: int, stream_bits: int, sizes: tuple[int, ...], tmp_path: Path) -> None:
    """All tests of the bench (zeroskip/cosim/bus/eie_bench.py)."""
    rng = np.random.default_rng(5)
    network = random_network(rng, EieGeometry(pes=pes), sizes, 0.3)
    bundle.save(network, tmp_path / "network.zs")
    np.save(tmp_path / "inputs.npy", random_inputs(rng, 5, sizes[0], (0.9, 0.3, 0.0, 1.0)))
    (tmp_path / "map.json").write_text(json.dumps(facts(eie_map(network.geometry, stream_bits), tmp_path)))
    bus_design(bus, network.geometry, stream_bits).build(Simulator.VERILATOR).run(
        bench="zeroskip.cosim.bus.eie_bench",
        folder=tmp_path,
        plusargs={
            **{name: tmp_path / file for name, file in FILES.items()},
            "bus": bus,
            "stream_bits": str(stream_bits),
        },
        seed=5,
    )


@pytest.mark.parametrize(
    ("pes", "sizes"),
    [pytest.param(2, (31, 17, 5), id="2"), pytest.param(8, (120, 40, 10), id="8", marks=pytest.mark.slow)],
)
def test_lists(pes: int, sizes: tuple[int, ...], tmp_path: Path) -> None:
    """All tests of the bench (zeroskip/cosim/bus/list_bench.py): networks, images and results by lists in memory."""
    rng = np.random.default_rng(6)
    network = random_network(rng, EieGeometry(pes=pes), sizes, 0.3)
    bundle.save(network, tmp_path / "network.zs")
    np.save(tmp_path / "inputs.npy", random_inputs(rng, 5, sizes[0], (0.9, 0.3, 0.0, 1.0)))
    described = eie_map(network.geometry, 32, lists=True)
    (tmp_path / "map.json").write_text(json.dumps(facts(described, tmp_path)))
    list_design(network.geometry).build(Simulator.VERILATOR).run(
        bench="zeroskip.cosim.bus.list_bench",
        folder=tmp_path,
        plusargs={name: tmp_path / file for name, file in FILES.items()},
        seed=6,
    )
