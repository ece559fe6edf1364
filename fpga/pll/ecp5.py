"""Dividers of the ECP5's PLL, the cell EHXPLLL (Lattice FPGA-DS-02012, sysCLOCK PLL timing; FPGA-TN-02200)."""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.fpga.pll.settings import PllSettings, nearest, require_within

INPUT = (8.0, 400.0)
OUTPUT = (3.125, 400.0)
PHASE_DETECTOR = (3.125, 400.0)
OSCILLATOR = (400.0, 800.0)
DIVIDER = 128
"""Each divider is 1 to 128."""


def solve(input_mhz: float, wanted_mhz: float) -> PllSettings:
    """The settings whose output CLKOP is nearest to `wanted_mhz`, with feedback from CLKOP.

        CLKI -> / CLKI_DIV -> phase detector -> oscillator -> / CLKOP_DIV -> CLKOP
                                    ^------------ / CLKFB_DIV <---------------'

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
        around = round(wanted_mhz / detector)
        for feedback in {max(1, min(DIVIDER, around + step)) for step in (-1, 0, 1)}:
            output = detector * feedback
            if not OUTPUT[0] <= output <= OUTPUT[1]:
                continue
            divider = min(DIVIDER, int(OSCILLATOR[1] / output + 1e-9))
            if divider and OSCILLATOR[0] <= output * divider <= OSCILLATOR[1] + 1e-6:
                yield PllSettings(
                    mhz=output,
                    vco_mhz=output * divider,
                    parameters={
                        "CLKI_DIV": reference,
                        "CLKFB_DIV": feedback,
                        "CLKOP_DIV": divider,
                        # Half a period after the edge of the oscillator: CLKOP in phase with the reference.
                        "CLKOP_CPHASE": divider // 2,
                        "CLKOP_FPHASE": 0,
                        "CLKOP_ENABLE": "ENABLED",
                        "FEEDBK_PATH": "CLKOP",
                        "OUTDIVIDER_MUXA": "DIVA",
                        "PLLRST_ENA": "DISABLED",
                        "INTFB_WAKE": "DISABLED",
                        "STDBY_ENABLE": "DISABLED",
                        "DPHASE_SOURCE": "DISABLED",
                    },
                )
