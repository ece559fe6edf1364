"""What the tools are at, from the lines that they print."""

from __future__ import annotations

import re
from collections.abc import Callable

Announce = Callable[[str], None]
"""Takes the phase that begins."""

FIRST_RUN = "Preparing to run"
"""How the tools say that they are translated to machine code, which takes minutes."""

PHASES = (
    ("Packing", "packing"),
    ("Promoting", "packing"),
    ("Creating initial analytic placement", "placing"),
    ("Running simulated annealing", "placing: refining"),
    ("Routing", "routing"),
    ("Running router2", "routing"),
)
"""How lines of nextpnr begin, and the phase that they tell of."""


def yosys_phase(announce: Announce) -> Callable[[str], None]:
    """Takes the lines of Yosys."""

    def heard(line: str) -> None:
        if line.startswith(FIRST_RUN):
            announce("preparing Yosys (once)")
        elif found := re.match(r"[\d.]+ Executing (\w+) pass", line):
            announce(f"synthesis: {found[1].lower()}")

    return heard


def nextpnr_phase(announce: Announce) -> Callable[[str], None]:
    """Takes the lines of nextpnr."""

    def heard(line: str) -> None:
        said = line.removeprefix("Info:").strip()
        if line.startswith(FIRST_RUN):
            announce("preparing nextpnr (once)")
        elif found := re.match(r"iter=(\d+).*overuse=(\d+)", said):
            announce(f"routing: pass {found[1]}, {found[2]} wires in conflict")
        elif found := re.match(r"(?:at iteration #|iter=)(\d+)", said):
            announce(f"placing: pass {found[1]}")
        else:
            for start, phase in PHASES:
                if said.startswith(start):
                    announce(phase)

    return heard
