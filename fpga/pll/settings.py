"""What the PLL solvers return, and how they choose."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

TOLERANCE = 0.01
"""How far, as a fraction, a clock may be from the wanted one."""


class ClockError(ValueError):
    """A PLL does not make the wanted clock; the message names what it can make."""


@dataclass(frozen=True, kw_only=True)
class PllSettings:
    """Dividers of a PLL: `parameters` of the device's own cell. `mhz` is the clock that it makes, and `vco_mhz` the
    frequency of its oscillator."""

    mhz: float
    vco_mhz: float
    parameters: dict[str, int | str]


def require_within(name: str, mhz: float, low: float, high: float) -> None:
    """Raises ClockError unless `low <= mhz <= high`."""
    if not low <= mhz <= high:
        raise ClockError(f"{name} must be {low:g} to {high:g} MHz, not {mhz:.10g}")


def nearest(wanted: float, found: Iterable[PllSettings]) -> PllSettings:
    """The settings nearest to `wanted` MHz; of equal ones, those whose oscillator is fastest, which has least jitter.

    Raises ClockError if none is within TOLERANCE.
    """
    best = min(found, key=lambda settings: (abs(settings.mhz - wanted), -settings.vco_mhz), default=None)
    if best is None:
        raise ClockError(f"the clock must be one that the PLL can make, not {wanted:.10g} MHz")
    if abs(best.mhz - wanted) > TOLERANCE * wanted:
        raise ClockError(
            f"the clock must be one that the PLL can make, not {wanted:.10g} MHz; the nearest: {best.mhz:g}"
        )
    return best
