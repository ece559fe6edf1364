"""Fills the table of docs/boards/index.md from docs/measured, so that no figure is typed.

`zeroskip fpga build ... --json > docs/measured/fpga-build-NAME.json` adds a row."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tables import DOCS, fill, markdown, update


def build_row(result: dict[str, Any]) -> list[str]:
    counts = [f"{result[kind]:,}" for kind in ("lut", "ff", "ram", "dsp")]
    geometry = result["geometry"]
    if result.get("core") == "mapping":
        core = f"mapping unit of width {geometry['width']}"
        sizes = f"{geometry['width'] * geometry['words']:,} keys, {_triples(geometry):,} triples"
    elif result["pes"]:
        core = "1 PE" if result["pes"] == 1 else f"{result['pes']} PEs"
        sizes = f"{geometry['entry_words']:,} words, {geometry['pointers']:,} pointers a PE"
    else:
        core = f"tile of {geometry['m']} x {geometry['n']} x {geometry['k']}, {geometry['dtype']}"
        sizes = ", ".join(f"{geometry[f'{matrix}_words']:,} words of {matrix.upper()}" for matrix in "abd")
    if result.get("carrier") == "usb":
        core += ", USB"
    clock = f"{result['fmax']['sync']:.1f}, {result['constraint']['sync']:g} asked for"
    return [f"{result['board']}, {core}", sizes, *counts, clock]


def _triples(geometry: dict[str, int]) -> int:
    return geometry["triple_words"] * max(1, geometry["width"] // 2)


def build_table() -> str:
    files = sorted((DOCS / "measured").glob("fpga-build-*.json"), key=_order)
    heads = [
        "build",
        "memories",
        "look-up tables",
        "flip-flops",
        "block RAMs",
        "multipliers",
        "MHz after routing",
    ]
    return markdown([heads, *(build_row(json.loads(file.read_text())) for file in files)])


def _order(file: Path) -> tuple[str, int]:
    result = json.loads(file.read_text())
    return str(result["board"]), result["pes"] or 0


update(DOCS / "boards/index.md", lambda page: fill(page, "builds", build_table()))
