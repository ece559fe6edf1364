"""Fills the tables of docs/measurements/fpga.md from docs/measured, so that no figure is typed.

`zeroskip fpga blocks --json > docs/measured/fpga-blocks.json` measures the blocks; `zeroskip fpga build ... --json >
docs/measured/fpga-build-ulx3s-85f-NUMBER.json` and `zeroskip bench eie --json > docs/measured/bench-eie.json` the rest.
"""

from __future__ import annotations

from typing import Any

from tables import DOCS, fill, markdown, measured, update

ARRAYS = (1, 8, 16, 32)


def block_table(before: dict[str, Any], after: dict[str, Any]) -> str:
    old = {block["name"]: block for block in before["blocks"]}
    rows = [["block", "MHz before", "MHz", "look-up tables before", "look-up tables", "slowest path"]]
    for block in after["blocks"]:
        was = old.get(block["name"], {"mhz": None, "lut": None})
        path = " -> ".join(f"`{signal.removeprefix('component.')}`" for signal in _ends(block["path"]))
        mhz = f"{block['mhz']:.1f}"
        rows.append([block["name"], _mhz(was["mhz"]), mhz, _count(was["lut"]), f"{block['lut']:,}", path])
    return markdown(rows)


def array_table(before: dict[str, Any]) -> str:
    old = {array["pes"]: array for array in before["arrays"]}
    rows = [["PEs", "MHz before", "MHz", "look-up tables before", "look-up tables"]]
    for pes in ARRAYS:
        was = old.get(pes)
        mhz = "" if was is None else f"{was['mhz']:.1f}{'' if was['routed'] else ', not routed'}"
        build = _build(pes)
        now = ["", ""] if build is None else [f"{build['fmax']['sync']:.1f}", f"{build['lut']:,}"]
        rows.append([f"{pes}", mhz, now[0], "" if was is None else f"{was['lut']:,}", now[1]])
    return markdown(rows)


def cycle_table(before: dict[str, Any], after: dict[str, Any]) -> str:
    rows = [["layer", "cycles before", "cycles"]]
    for was, now in zip(before["bench_eie"]["layers"], after["layers"], strict=True):
        assert was["name"] == now["name"]
        rows.append([now["name"], f"{was['cycles']:,}", f"{now['cycles']:,}"])
    ratios = [f"{bench['geomean_ratio']:.4f}" for bench in (before["bench_eie"], after)]
    return markdown([*rows, ["ratio to the paper", *ratios]])


def _build(pes: int) -> dict[str, Any] | None:
    name = f"fpga-build-ulx3s-85f-{pes}"
    return measured(name) if (DOCS / f"measured/{name}.json").exists() else None


def _ends(path: list[str]) -> list[str]:
    """The first and the last signal of a path that have a name of their own."""
    named = [signal for signal in path if signal.rstrip(".").removeprefix("component")]
    return named if len(named) < 2 else [named[0], named[-1]]


def _mhz(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}"


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def filled(page: str) -> str:
    """The page with each table between its two marks."""
    before, bench = measured("fpga-before"), measured("bench-eie")
    tables = {
        "blocks": block_table(before, measured("fpga-blocks")),
        "arrays": array_table(before),
        "cycles": cycle_table(before, bench),
    }
    for mark, table in tables.items():
        page = fill(page, f"measured: {mark}", table)
    return page


if __name__ == "__main__":
    update(DOCS / "measurements/fpga.md", filled)
