"""The cores on buses, as simulators build them for benches that drive their ports."""

from __future__ import annotations

from zeroskip.cosim.bare import bare_design
from zeroskip.cosim.build import Design
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus import eie_buses, mapping_buses, mma_buses


def bus_design(bus: str, geometry: EieGeometry, stream_bits: int) -> Design:
    """An array of `geometry` on a bus, one of zeroskip.rtl.bus.eie_buses.BUSES."""
    return bare_design(eie_buses.BUSES[bus], geometry, f"{bus}_array", stream_bits=stream_bits)


def list_design(geometry: EieGeometry) -> Design:
    """An array of `geometry` that works on lists in memory (AxiMasterArray)."""
    return bare_design(eie_buses.AxiMasterArray, geometry, "axi_master_array")


def gemm_bus_design(bus: str, geometry: TileGeometry) -> Design:
    """A tile of `geometry`, with its memories, on a bus, one of zeroskip.rtl.bus.mma_buses.BUSES."""
    return bare_design(mma_buses.BUSES[bus], geometry, f"{bus}_gemm")


def mapper_bus_design(bus: str, geometry: MapperGeometry) -> Design:
    """A mapping unit of `geometry` on a bus, one of zeroskip.rtl.bus.mapping_buses.BUSES."""
    return bare_design(mapping_buses.BUSES[bus], geometry, f"{bus}_mapper")
