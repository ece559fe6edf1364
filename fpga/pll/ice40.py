"""Dividers of the iCE40's PLL, the cell SB_PLL40 (Lattice FPGA-TN-02052)."""

from __future__ import annotations

from collections.abc import Iterator

from zeroskip.fpga.pll.settings import PllSettings, nearest, require_within

INPUT = (10.0, 133.0)
OUTPUT = (16.0, 275.0)
PHASE_DETECTOR = (10.0, 133.0)
OSCILLATOR = (533.0, 1066.0)
FILTERS = ((17, 1), (26, 2), (44, 3), (66, 4), (101, 5), (133, 6))
"""The loop filter's setting for phase detectors up to so many MHz."""


def solve(input_mhz: float, wanted_mhz: float) -> PllSettings:
    """The settings whose output is nearest to `wanted_mhz`, with simple feedback: output = input * (DIVF + 1) / (DIVR +
    1) / 2**DIVQ.

    Raises ClockError where input or output are out of range, or nothing is near.
    """
    require_within("the board's clock", input_mhz, *INPUT)
    require_within("the clock", wanted_mhz, *OUTPUT)
    return nearest(wanted_mhz, _settings(input_mhz))


def _settings(input_mhz: float) -> Iterator[PllSettings]:
    for reference in range(16):
        detector = input_mhz / (reference + 1)
        if not PHASE_DETECTOR[0] <= detector <= PHASE_DETECTOR[1]:
            continue
        for feedback in range(128):
            oscillator = detector * (feedback + 1)
            if not OSCILLATOR[0] <= oscillator <= OSCILLATOR[1]:
                continue
            for shift in range(1, 7):
                yield PllSettings(
                    mhz=oscillator / (1 << shift),
                    vco_mhz=oscillator,
                    parameters={
                        "FEEDBACK_PATH": "SIMPLE",
                        "DIVR": reference,
                        "DIVF": feedback,
                        "DIVQ": shift,
                        "FILTER_RANGE": next(setting for limit, setting in FILTERS if detector <= limit),
                    },
                )
