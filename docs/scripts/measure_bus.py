"""Measures what docs/reference/bus.md shows, and writes it to docs/measured/bus.json: in simulation the throughput over
AXI4-Stream and with lists in memory, and look-up tables by Yosys for ECP5. Takes some minutes."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

from amaranth.lib import wiring
from tables import DOCS

from zeroskip.cosim.bus.player import TITLES
from zeroskip.cosim.bus.rate import LENET_GEOMETRY, list_rate, made_up_lenet, stream_rate
from zeroskip.fpga.synthesis import synthesise
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus import eie_buses, mapping_buses, mma_buses
from zeroskip.rtl.eie.array import Array
from zeroskip.rtl.mapping.mapper import Mapper
from zeroskip.rtl.mma.gemm import Gemm

STREAM_BITS = (64, 32, 16)

ONE_PE = EieGeometry(pes=1, entry_words=512, pointers=512, activation_rows=1024, layers=4)

TWO_PES = dataclasses.replace(ONE_PE, pes=2, activation_rows=512)

TILE = TileGeometry(m=2, n=2, a_words=256, b_words=256, d_words=256)

UNIT = MapperGeometry(width=1, words=512, offsets=32)


def cost(core: str, bare: wiring.Component, wrapped: dict[str, wiring.Component]) -> list[dict[str, Any]]:
    """What each bus adds to a bare core."""
    without = synthesise(bare)
    found = []
    for bus, component in wrapped.items():
        on_bus = synthesise(component)
        found.append(
            {
                "core": core,
                "bus": TITLES[bus],
                "bare_luts": without.luts,
                "luts": on_bus.luts,
                "bare_registers": without.cells["TRELLIS_FF"],
                "registers": on_bus.cells["TRELLIS_FF"],
            }
        )
    return found


def luts() -> list[dict[str, Any]]:
    arrays = {bus: array(ONE_PE, stream_bits=16) for bus, array in eie_buses.BUSES.items()}
    pair = {"axi-master": eie_buses.AxiMasterArray(TWO_PES)}
    large = {
        "axi": eie_buses.AxiArray(LENET_GEOMETRY, stream_bits=64),
        "axi-master": eie_buses.AxiMasterArray(LENET_GEOMETRY),
    }
    tiles = {bus: tile(TILE) for bus, tile in mma_buses.BUSES.items()}
    units = {bus: unit(UNIT) for bus, unit in mapping_buses.BUSES.items()}
    return [
        *cost("EIE array, 1 PE, TDATA of 16 bits", Array(ONE_PE), arrays),
        *cost("EIE array, 2 PEs", Array(TWO_PES), pair),
        *cost("EIE array, 16 PEs, TDATA of 64 bits", Array(LENET_GEOMETRY), large),
        *cost("N:M tile, 2 x 2, fp16", Gemm(TILE), tiles),
        *cost("Mapping unit, 1 key", Mapper(UNIT), units),
    ]


if __name__ == "__main__":
    network, images = made_up_lenet(12)
    rates = [stream_rate(network, images, stream_bits=bits) for bits in STREAM_BITS]
    rates.append(list_rate(network, images))
    (DOCS / "measured/bus.json").write_text(json.dumps({"rates": rates, "luts": luts()}, indent=2) + "\n")
