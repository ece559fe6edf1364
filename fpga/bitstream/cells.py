"""The cells of a routed design, counted alike for all families."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

LUTS = {"ecp5": "TRELLIS_COMB", "ice40": "ICESTORM_LC"}
RAMS = {"ecp5": "DP16KD", "ice40": "ICESTORM_RAM"}
MULTIPLIERS = {"ecp5": "MULT18X18D", "ice40": "ICESTORM_DSP"}
SINGLE_PORT = {"ecp5": "", "ice40": "ICESTORM_SPRAM"}


def counted(report: Mapping[str, Any], cells: Mapping[str, int], family: str) -> dict[str, int]:
    """`lut`, `ff`, `ram` (block RAMs), `dsp` (multipliers) and `spram` (single-port RAMs): places of the device that
    are taken, from the report of place and route and the cells after synthesis.

    A place for a look-up table counts once whatever it holds: logic, half a carry cell, or, on an ECP5, a quarter of a
    16 x 4 memory; on an iCE40 also a flip-flop alone.
    """

    def used(kind: str) -> int:
        return int(report["utilization"].get(kind, {"used": 0})["used"])

    flip_flops = sum(count for kind, count in cells.items() if kind.startswith(("TRELLIS_FF", "SB_DFF")))
    return {
        "lut": used(LUTS[family]),
        "ff": flip_flops,
        "ram": used(RAMS[family]),
        "dsp": used(MULTIPLIERS[family]),
        "spram": used(SINGLE_PORT[family]),
    }
