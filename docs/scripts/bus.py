"""Fills the tables of docs/reference/bus.md: the register map from its description, and the rest from
docs/measured/bus.json, which measure_bus.py writes."""

from __future__ import annotations

import dataclasses
from typing import Any

from tables import DOCS, fill, markdown, measured, update

from zeroskip.cosim.package.data_sheet import table
from zeroskip.cosim.package.registers import REGISTER_HEADS, WINDOW_HEADS, register_rows, window_rows
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.mapping.geometry import MapperGeometry
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.rtl.bus.eie_map import EVENTS, LIST_EVENTS, eie_map
from zeroskip.rtl.bus.mapping_map import mapper_map
from zeroskip.rtl.bus.mma_map import gemm_map

SHOWN = EieGeometry(pes=16)

EVENT_HEADS = ("bit", "event", "meaning")


def event_rows(events: dict[str, str], first: int = 0) -> list[tuple[str, str, str]]:
    return [(str(bit), f"`{name}`", meaning) for bit, (name, meaning) in enumerate(events.items(), first)]


def list_rows() -> list[tuple[str, ...]]:
    """The registers that lists have besides."""
    described = eie_map(SHOWN, 32, lists=True)
    others = {register.name for register in eie_map(SHOWN, 32).registers}
    added = tuple(register for register in described.registers if register.name not in others)
    return register_rows(dataclasses.replace(described, registers=added))


def rate_table(result: dict[str, Any]) -> str:
    rows = [["by", "cycles of a run", "an image by bare ports", "an image by the bus", "of the bare throughput"]]
    for rate in result["rates"]:
        cells = [f"{rate[name]:,.1f}" for name in ("run_cycles", "bare_cycles", "bus_cycles")]
        streams = "stream_bits" in rate
        by = f"AXI4-Stream of {rate['stream_bits']} bits" if streams else "AXI4 of 32 bits, lists in memory"
        rows.append([by, *cells, f"{rate['ratio']:.1%}"])
    return markdown(rows)


def lut_table(result: dict[str, Any]) -> str:
    rows = [["core", "bus", "LUTs, bare", "with the bus", "added", "registers added"]]
    for one in result["luts"]:
        cells = [f"{one['bare_luts']:,}", f"{one['luts']:,}", f"{one['luts'] - one['bare_luts']:,}"]
        registers = f"{one['registers'] - one['bare_registers']:,}"
        rows.append([one["core"], one["bus"], *cells, registers])
    return markdown(rows)


def filled(page: str) -> str:
    """The page with each table between its two marks."""
    result = measured("bus")
    described, tile, unit = eie_map(SHOWN, 64), gemm_map(TileGeometry()), mapper_map(MapperGeometry())
    tables = {
        "registers": table(REGISTER_HEADS, register_rows(described)),
        "windows": table(WINDOW_HEADS, window_rows(described)),
        "events": table(EVENT_HEADS, event_rows(EVENTS)),
        "list-registers": table(REGISTER_HEADS, list_rows()),
        "list-events": table(EVENT_HEADS, event_rows(LIST_EVENTS, len(EVENTS))),
        "tile-registers": table(REGISTER_HEADS, register_rows(tile)),
        "tile-windows": table(WINDOW_HEADS, window_rows(tile)),
        "mapping-registers": table(REGISTER_HEADS, register_rows(unit)),
        "mapping-windows": table(WINDOW_HEADS, window_rows(unit)),
        "rates": rate_table(result),
        "luts": lut_table(result),
    }
    for mark, text in tables.items():
        page = fill(page, mark, text)
    return page


if __name__ == "__main__":
    update(DOCS / "reference/bus.md", filled)
