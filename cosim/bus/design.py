"""The cores on buses, as simulators build them for benches that drive their ports."""

from __future__ import annotations

from zeroskip.cosim.build import Design, geometry_key
from zeroskip.cosim.emit import emit_verilog
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.bus.eie_buses import BUSES


def bus_design(bus: str, geometry: EieGeometry, stream_bits: int) -> Design:
    """An array of `geometry` on a bus, one of zeroskip.rtl.bus.eie_buses.BUSES."""
    component = BUSES[bus]
    return Design(
        component=component,
        key=f"{geometry_key(geometry)} {stream_bits}",
        top=f"{bus}_array",
        verilog=lambda: emit_verilog(component(geometry, stream_bits=stream_bits), f"{bus}_array"),
        sources=(PACKAGE / "cosim/sram.v",),
    )
