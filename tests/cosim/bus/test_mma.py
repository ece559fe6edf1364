"""The N:M tile on a bus: results of the golden model, cycles of the cycle model, and errors that change nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest
from support.buses import run_bench
from support.packages import GEOMETRIES

from zeroskip.cosim.bus.design import gemm_bus_design
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
    design = gemm_bus_design(bus, geometry)
    run_bench("mma_bench", design, gemm_map(geometry), bus=bus, geometry=geometry, folder=tmp_path)
