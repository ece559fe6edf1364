"""Fills the tables of docs/measurements/cells.md from docs/measured, so that no figure is typed."""

from __future__ import annotations

from typing import Any

from tables import DOCS, fill, markdown, measured, update


def block_table(result: dict[str, Any]) -> str:
    rows = [["block", "area, um2", "of it flip-flops", "SRAM, um2", "share of the PE", "critical path, ns", "from, to"]]
    for block in result["blocks"]:
        share = "" if block["share"] is None else f"{block['share']:.1%}"
        sram = f"{block['sram_area']:,.0f}" if block["srams"] else ""
        cells = [f"{block['area']:,.0f}", f"{block['sequential_area']:,.0f}", sram, share]
        path = " -> ".join(f"`{point}`" for point in block["path"])
        rows.append([block["name"], *cells, f"{block['critical_path_ns']:.2f}", path])
    return markdown(rows)


def goal(result: dict[str, Any]) -> str:
    (block,) = result["blocks"]
    return f"Now it takes {block['area']:,.0f} um2, and its slowest path {block['critical_path_ns']:.2f} ns."


def unit_table(result: dict[str, Any]) -> str:
    whole = next(block for block in result["blocks"] if block["name"] == "eie.pe")
    total = whole["area"] + whole["sram_area"]
    rows = [["unit", "paper", "here", "units here"]]
    for row in result["paper"]:
        paper, here = ("" if share is None else f"{share:.2%}" for share in (row["paper_share"], row["share"]))
        rows.append([row["unit"] or "the rest", paper, here, ", ".join(row["units"])])
    return markdown([*rows, ["area of a PE", "638,024 um2, 45 nm", f"{total:,.0f} um2, 130 nm", ""]])


def filled(page: str) -> str:
    """The page with each table between its two marks."""
    result = measured("fpga-ppa")
    tables = {"blocks": block_table(result), "units": unit_table(result), "goal": goal(measured("fpga-ppa-pe"))}
    for mark, table in tables.items():
        page = fill(page, f"measured: {mark}", table)
    return page


if __name__ == "__main__":
    update(DOCS / "measurements/cells.md", filled)
