"""Fills the tables of docs/howto/waveforms-and-traces.md from docs/measured/waves.json, which measure_waves.py
writes."""

from __future__ import annotations

from typing import Any

from tables import DOCS, fill, markdown, measured, update

MEGA = 1_000_000


def run_table(result: dict[str, Any]) -> str:
    rows = [["run", "cycles", "no waveform", "`.vcd`", "`.fst`", "size, `.vcd`", "size, `.fst`"]]
    for run in result["runs"]:
        waves = [run["waves"][form] for form in ("vcd", "fst")]
        seconds = [f"{wave['seconds']:.2f} ({wave['seconds'] / run['seconds']:.1f} x)" for wave in waves]
        sizes = [f"{wave['bytes'] / MEGA:,.0f} MB" for wave in waves]
        rows.append([run["name"], f"{run['cycles']:,}", f"{run['seconds']:.2f}", *seconds, *sizes])
    return markdown(rows)


def page_table(result: dict[str, Any]) -> str:
    rows = [["page", "cycles", "size", "seconds"]]
    rows += [
        [page["name"], f"{page['cycles']:,}", f"{page['bytes'] / MEGA:.1f} MB", f"{page['seconds']:.2f}"]
        for page in result["pages"]
    ]
    return markdown(rows)


def filled(page: str) -> str:
    """The page with each table between its two marks."""
    result = measured("waves")
    return fill(fill(page, "runs", run_table(result)), "pages", page_table(result))


if __name__ == "__main__":
    update(DOCS / "howto/waveforms-and-traces.md", filled)
