"""The floor in MHz and the ceiling in look-up tables of each block, kept in limits.json.

Place and route finds another solution for every change of a design: limits leave it some room, and catch a change of
the RTL that makes a block slower or larger.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from zeroskip.fpga.blocks.measure import Measured
from zeroskip.model.files import save_json

FILE = Path(__file__).parent / "limits.json"
ROOM_MHZ, ROOM_LUTS = 0.9, 1.05
"""Limits are this much below the MHz and above the look-up tables that were measured."""

GOAL_MHZ = 100
"""The goal for every block: the floor of those that reach it is not below it."""


Limits = Mapping[str, Mapping[str, float]]
"""By name of the block: `mhz`, its floor, and `lut`, its ceiling."""


def limits() -> Limits:
    """The limits in FILE. Raises ValueError unless each has both numbers."""
    try:
        found: Limits = json.loads(FILE.read_text())
        if all(isinstance(limit[kind], int | float) for limit in found.values() for kind in ("mhz", "lut")):
            return found
        problem = "not all of them are numbers"
    except (ValueError, AttributeError, KeyError, TypeError) as error:
        problem = repr(error)
    raise ValueError(f"{FILE} must be JSON with the numbers mhz and lut of each block: {problem}")


def broken(name: str, measured: Measured, limit: Mapping[str, float] | None) -> list[str]:
    """What a block breaks of its limits, in words. A block without limits breaks none."""
    if limit is None:
        return []
    found = []
    if measured.mhz < limit["mhz"]:
        found.append(
            f"{name} must reach {limit['mhz']:g} MHz, not {measured.mhz:.1f}: {' -> '.join(measured.path)} "
            f"takes {measured.path_ns:.1f} ns"
        )
    if measured.lut > limit["lut"]:
        found.append(f"{name} must take at most {limit['lut']:,} look-up tables, not {measured.lut:,}")
    return found


def set_limits(measured: Mapping[str, Measured]) -> None:
    """Writes the limits of the blocks measured, with room that ends at the goal; those of others stay."""
    new = {
        name: {
            "mhz": max(int(one.mhz * ROOM_MHZ), min(GOAL_MHZ, int(one.mhz))),
            "lut": int(one.lut * ROOM_LUTS) + 4,
        }
        for name, one in measured.items()
    }
    save_json(FILE, dict(sorted({**limits(), **new}.items())))
