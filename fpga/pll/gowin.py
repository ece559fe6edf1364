"""Dividers of the Gowin GW2A's PLL, the cell rPLL (Gowin UG286, and DS226 for the GW2AR-18 C8/I7)."""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.fpga.pll.settings import PllSettings, nearest, require_within

INPUT = (3.0, 500.0)
OUTPUT = (3.90625, 625.0)
PHASE_DETECTOR = (3.0, 500.0)
OSCILLATOR = (500.0, 1250.0)
OUTPUT_DIVIDERS = (2, 4, 8, 16, 32, 48, 64, 80, 96, 112, 128)


def solve(input_mhz: float, wanted_mhz: float) -> PllSettings:
    """The settings whose output CLKOUT is nearest to `wanted_mhz`, with the feedback inside: output = input *
    (FBDIV_SEL + 1) / (IDIV_SEL + 1), and the oscillator runs ODIV_SEL times as fast.

    Raises ClockError where input or output are out of range, or nothing is near.
    """
    require_within("the board's clock", input_mhz, *INPUT)
    require_within("the clock", wanted_mhz, *OUTPUT)
    return nearest(wanted_mhz, _settings(input_mhz))


def _settings(input_mhz: float) -> Iterator[PllSettings]:
    for reference in range(1, 65):
        detector = input_mhz / reference
        if not PHASE_DETECTOR[0] <= detector <= PHASE_DETECTOR[1]:
            continue
        for factor in range(1, 65):
            output = detector * factor
            for divider in OUTPUT_DIVIDERS:
                if OUTPUT[0] <= output <= OUTPUT[1] and OSCILLATOR[0] <= output * divider <= OSCILLATOR[1]:
                    yield PllSettings(
                        mhz=output,
                        vco_mhz=output * divider,
                        parameters={
                            "FCLKIN": f"{input_mhz:g}",
                            "IDIV_SEL": reference - 1,
                            "FBDIV_SEL": factor - 1,
                            "ODIV_SEL": divider,
                            "DYN_IDIV_SEL": "false",
                            "DYN_FBDIV_SEL": "false",
                            "DYN_ODIV_SEL": "false",
                            "DYN_DA_EN": "false",
                            "DUTYDA_SEL": "1000",
                            "PSDA_SEL": "0000",
                            "CLKFB_SEL": "internal",
                            "CLKOUT_BYPASS": "false",
                            "CLKOUTP_BYPASS": "false",
                            "CLKOUTD_BYPASS": "false",
                            "DEVICE": "GW2AR-18C",
                        },
                    )
