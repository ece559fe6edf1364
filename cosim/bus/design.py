"""The cores on buses, as simulators build them for benches that drive their ports."""

from __future__ import annotations

from zeroskip.cosim.build import Design, geometry_key
from zeroskip.cosim.emit import emit_verilog
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.bus.eie_axi import AxiArray


def axi_design(geometry: EieGeometry, stream_bits: int) -> Design:
    """An array of `geometry` on AXI."""
    return Design(
        component=AxiArray,
        key=f"{geometry_key(geometry)} {stream_bits}",
        top="axi_array",
        verilog=lambda: emit_verilog(AxiArray(geometry, stream_bits=stream_bits), "axi_array"),
        sources=(PACKAGE / "cosim/sram.v",),
    )
