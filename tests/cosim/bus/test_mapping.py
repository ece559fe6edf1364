"""The mapping unit on a bus: lists and triples of the golden model, cycles of the cycle model, and errors that change
nothing."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.buses import run_bench

from zeroskip.cosim.bus.design import mapper_bus_design
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.rtl.bus.mapping_map import mapper_map

FOUR = MapperGeometry(width=4, words=60, coordinate_bits=6, batch_bits=1, reach=7, offsets=27, index_bits=8)

ONE = MapperGeometry(width=1, words=256, coordinate_bits=12, batch_bits=2, reach=7, offsets=32, index_bits=8)
"""Its keys have more than 32 bits."""

CASES = [
    pytest.param("axi", FOUR, id="axi-4"),
    pytest.param("axi", ONE, id="axi-1", marks=pytest.mark.slow),
    pytest.param("apb", FOUR, id="apb-4", marks=pytest.mark.slow),
    pytest.param("wishbone", ONE, id="wishbone-1", marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("bus", "geometry"), CASES)
def test_bus(bus: str, geometry: MapperGeometry, tmp_path: Path) -> None:
    design = mapper_bus_design(bus, geometry)
    run_bench("mapping_bench", design, mapper_map(geometry), bus=bus, geometry=geometry, folder=tmp_path)
