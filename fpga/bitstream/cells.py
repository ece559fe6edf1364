"""The cells of a routed design, counted alike for all families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LUTS = {
    "ecp5": {"TRELLIS_COMB": 1},
    "ice40": {"ICESTORM_LC": 1},
    "gowin": {"LUT4": 1, "ALU": 1, "RAM16SDP4": 4},
}
RAMS = {"ecp5": {"DP16KD": 1}, "ice40": {"ICESTORM_RAM": 1}, "gowin": {"BSRAM": 1}}
MULTIPLIERS = {
    "ecp5": {"MULT18X18D": 1},
    "ice40": {"ICESTORM_DSP": 1},
    "gowin": {"MULT9X9": 1, "MULT18X18": 1, "MULT36X36": 4},
}
SINGLE_PORT = {"ecp5": {}, "ice40": {"ICESTORM_SPRAM": 1}, "gowin": {}}
"""For each family the cells in the report of place and route, and how many places each takes."""


def counted(report: Mapping[str, Any], cells: Mapping[str, int], family: str) -> dict[str, int]:
    """`lut`, `ff`, `ram` (block RAMs), `dsp` (multipliers) and `spram` (single-port RAMs): places of the device that
    are taken, from the report of place and route and the cells after synthesis.

    A place for a look-up table counts once whatever it holds: logic, half a carry cell (on a Gowin a carry cell), or a
    part of a 16 x 4 memory, which takes six (on a Gowin four); on an iCE40 also a flip-flop alone.
    """

    def used(kinds: Mapping[str, int]) -> int:
        found = report["utilization"]
        return sum(places * int(found[kind]["used"]) for kind, places in kinds.items() if kind in found)

    flip_flops = sum(count for kind, count in cells.items() if kind.startswith(("TRELLIS_FF", "SB_DFF", "DFF")))
    return {
        "lut": used(LUTS[family]),
        "ff": flip_flops,
        "ram": used(RAMS[family]),
        "dsp": used(MULTIPLIERS[family]),
        "spram": used(SINGLE_PORT[family]),
    }
