"""Dividers of the ECP5's PLL, the cell EHXPLLL (Lattice FPGA-DS-02012, sysCLOCK PLL timing; FPGA-TN-02200)."""

from __future__ import annotations

import math
from collections.abc import Iterator

from zeroskip.fpga.pll.settings import PllSettings, nearest, require_within

INPUT = (8.0, 400.0)
OUTPUT = (3.125, 400.0)
PHASE_DETECTOR = (3.125, 400.0)
OSCILLATOR = (400.0, 800.0)
DIVIDER = 128
"""Each divider is 1 to 128."""


def solve(input_mhz: float, wanted_mhz: float) -> PllSettings:
    """The settings whose output CLKOS is nearest to `wanted_mhz`, with feedback from CLKOP.

        CLKI -> / CLKI_DIV -> phase detector -> oscillator -+-> / CLKOP_DIV -+
                                    ^                       |                |
                                    +------ / CLKFB_DIV <---|----------------+
                                                            +-> / CLKOS_DIV -> CLKOS

    Raises ClockError where input or output are out of range, or nothing is near.
    """
    require_within("the board's clock", input_mhz, *INPUT)
    require_within("the clock", wanted_mhz, *OUTPUT)
    return nearest(wanted_mhz, _settings(input_mhz, wanted_mhz))


def _settings(input_mhz: float, wanted_mhz: float) -> Iterator[PllSettings]:
    for reference in range(1, DIVIDER + 1):
        detector = input_mhz / reference
        if not PHASE_DETECTOR[0] <= detector <= PHASE_DETECTOR[1]:
            continue
        for factor in range(math.ceil(OSCILLATOR[0] / detector), math.floor(OSCILLATOR[1] / detector) + 1):
            oscillator = detector * factor
            loop = _loop(factor, oscillator)
            divider = max(1, min(DIVIDER, round(oscillator / wanted_mhz)))
            output = oscillator / divider
            if loop is not None and OUTPUT[0] <= output <= OUTPUT[1]:
                yield PllSettings(
                    mhz=output,
                    vco_mhz=oscillator,
                    parameters={
                        "CLKI_DIV": reference,
                        "CLKFB_DIV": factor // loop,
                        "CLKOP_DIV": loop,
                        "CLKOS_DIV": divider,
                        # In phase with the reference.
                        "CLKOP_CPHASE": loop - 1,
                        "CLKOS_CPHASE": divider - 1,
                        "CLKOP_FPHASE": 0,
                        "CLKOS_FPHASE": 0,
                        "CLKOP_ENABLE": "ENABLED",
                        "CLKOS_ENABLE": "ENABLED",
                        "FEEDBK_PATH": "CLKOP",
                        "OUTDIVIDER_MUXA": "DIVA",
                        "OUTDIVIDER_MUXB": "DIVB",
                        "PLLRST_ENA": "DISABLED",
                        "INTFB_WAKE": "DISABLED",
                        "STDBY_ENABLE": "DISABLED",
                        "DPHASE_SOURCE": "DISABLED",
                    },
                )


def _loop(factor: int, oscillator: float) -> int | None:
    """CLKOP_DIV where the loop multiplies by `factor`: as large as it can be, so that little else runs fast."""
    for divider in range(DIVIDER, 0, -1):
        if factor % divider == 0 and factor // divider <= DIVIDER and oscillator / divider <= OUTPUT[1]:
            return divider
    return None
