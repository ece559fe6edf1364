"""The N:M tile on a bus: results of the golden model, cycles of the cycle model, and errors that change nothing."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
from support.packages import GEOMETRIES
from support.rdl import facts

from zeroskip.cosim.bus.design import gemm_bus_design
from zeroskip.cosim.simulator import Simulator
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.rtl.bus.mma_map import gemm_map

INT8 = dataclasses.replace(
    mode_geometry(generation="A100", dtype="int8", out="int32_sat", m=3, n=2), a_words=60, b_words=50, d_words=33
)

CASES = [
    pytest.param("axi", GEOMETRIES["mma"], id="axi"),
    pytest.param("axi", INT8, id="axi-int8", marks=pytest.mark.slow),
    pytest.param("apb", GEOMETRIES["mma"], id="apb", marks=pytest.mark.slow),
    pytest.param("wishbone", INT8, id="wishbone", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("bus", "geometry"), CASES)
def test_bus(bus: str, geometry: TileGeometry, tmp_path: Path) -> None:
    """All tests of the bench (zeroskip/cosim/bus/mma_bench.py)."""
    (tmp_path / "geometry.json").write_text(json.dumps(dataclasses.asdict(geometry)))
    (tmp_path / "map.json").write_text(json.dumps(facts(gemm_map(geometry), tmp_path)))
    gemm_bus_design(bus, geometry).build(Simulator.VERILATOR).run(
        bench="zeroskip.cosim.bus.mma_bench",
        folder=tmp_path,
        plusargs={"bus": bus, "geometry": tmp_path / "geometry.json", "map": tmp_path / "map.json"},
        seed=9,
    )
