"""The cores on buses, as simulators build them for benches that drive their ports."""

from __future__ import annotations

from zeroskip.cosim.build import Design, geometry_key
from zeroskip.cosim.emit import emit_verilog
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.bus import eie_buses, mma_buses


def bus_design(bus: str, geometry: EieGeometry, stream_bits: int) -> Design:
    """An array of `geometry` on a bus, one of zeroskip.rtl.bus.eie_buses.BUSES."""
    component = eie_buses.BUSES[bus]
    return Design(
        component=component,
        key=f"{geometry_key(geometry)} {stream_bits}",
        top=f"{bus}_array",
        verilog=lambda: emit_verilog(component(geometry, stream_bits=stream_bits), f"{bus}_array"),
        sources=(PACKAGE / "cosim/sram.v",),
    )


def list_design(geometry: EieGeometry) -> Design:
    """An array of `geometry` that works on lists in memory (AxiMasterArray)."""
    component = eie_buses.AxiMasterArray
    return Design(
        component=component,
        key=geometry_key(geometry),
        top="axi_master_array",
        verilog=lambda: emit_verilog(component(geometry), "axi_master_array"),
        sources=(PACKAGE / "cosim/sram.v",),
    )


def gemm_bus_design(bus: str, geometry: TileGeometry) -> Design:
    """A tile of `geometry`, with its memories, on a bus, one of zeroskip.rtl.bus.mma_buses.BUSES."""
    component = mma_buses.BUSES[bus]
    return Design(
        component=component,
        key=geometry_key(geometry),
        top=f"{bus}_gemm",
        verilog=lambda: emit_verilog(component(geometry), f"{bus}_gemm"),
        sources=(PACKAGE / "cosim/sram.v",),
    )
