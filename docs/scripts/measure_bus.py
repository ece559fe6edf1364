"""Measures what docs/reference/bus.md shows, and writes it to docs/measured/bus.json: throughput over AXI4-Stream in
simulation, and look-up tables by Yosys for ECP5. Takes some minutes."""

from __future__ import annotations

import json
from typing import Any

from tables import DOCS

from zeroskip.cosim.bus.package import TITLES
from zeroskip.cosim.bus.rate import LENET_GEOMETRY, made_up_lenet, stream_rate
from zeroskip.fpga.synthesis import synthesise
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.bus.eie_buses import BUSES, AxiArray
from zeroskip.rtl.eie.array import Array

STREAM_BITS = (64, 32, 16)

ONE_PE = EieGeometry(pes=1, entry_words=512, pointers=512, activation_rows=1024, layers=4)


def luts() -> list[dict[str, Any]]:
    """What each bus adds to the bare core."""
    found = []
    for geometry, stream_bits, buses in ((ONE_PE, 16, BUSES), (LENET_GEOMETRY, 64, {"axi": AxiArray})):
        bare = synthesise(Array(geometry))
        for name, array in buses.items():
            wrapped = synthesise(array(geometry, stream_bits=stream_bits))
            found.append(
                {
                    "pes": geometry.pes,
                    "bus": TITLES[name],
                    "stream_bits": stream_bits,
                    "bare_luts": bare.luts,
                    "luts": wrapped.luts,
                    "bare_registers": bare.cells["TRELLIS_FF"],
                    "registers": wrapped.cells["TRELLIS_FF"],
                }
            )
    return found


if __name__ == "__main__":
    network, images = made_up_lenet(12)
    rates = [stream_rate(network, images, stream_bits=bits) for bits in STREAM_BITS]
    (DOCS / "measured/bus.json").write_text(json.dumps({"rates": rates, "luts": luts()}, indent=2) + "\n")
