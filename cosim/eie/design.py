"""The EIE array as simulators build it: with the player around it, or by itself."""

from __future__ import annotations

from zeroskip.cosim.bare import bare_design
from zeroskip.cosim.build import Design, geometry_key
from zeroskip.cosim.emit import emit_verilog
from zeroskip.model.bits import bits_for
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.sources import PACKAGE
from zeroskip.rtl.eie.array import Array
from zeroskip.rtl.eie.layouts import load_layout, monitor_layout


def player_design(geometry: EieGeometry) -> Design:
    """The player with an array of `geometry`."""
    return Design(
        component=Array,
        key=geometry_key(geometry),
        top="player",
        verilog=lambda: emit_verilog(Array(geometry), "eie_array"),
        sources=(PACKAGE / "cosim/sram.v", PACKAGE / "cosim/eie/player.v"),
        included=(PACKAGE / "cosim/common_player.v",),
        # Memories of a PE: their ports are recorded around them.
        unrecorded=("file_0", "file_1", "odd", "even"),
        defines={
            "PES": geometry.pes,
            "LAYERS": geometry.layers,
            "LAYER_BITS": bits_for(geometry.layers),
            "INDEX_BITS": bits_for(geometry.activations),
            "LOAD_BITS": load_layout(geometry).size,
            "MONITOR_BITS": monitor_layout(geometry).size,
        },
    )


def array_design(geometry: EieGeometry) -> Design:
    """An array of `geometry` by itself, for benches that drive its ports."""
    return bare_design(Array, geometry, "eie_array")
