"""How fast a network runs on a board, and what limits it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LINE_BITS = 10
"""Bits of a byte on a serial line: a start bit, eight bits, a stop bit."""

ENERGY = (
    "not measured: the power of the board in watts while it runs is needed, from a meter in its supply; the energy of "
    "an image is that power divided by the images a second"
)


@dataclass(frozen=True, kw_only=True)
class BoardSpeed:
    """The rates of a board whose clock has `clock` Hz, on a line of `baud` bits a second.

    An image takes `cycles` in the core, and `sent` and `received` bytes on the line, means over all images, with all
    heads and checksums. The line carries the next image while the core works on one, so that the slower of the two
    decides.
    """

    clock: float
    baud: int
    cycles: float
    sent: float
    received: float

    @property
    def core(self) -> float:
        """Images a second that the core could do."""
        return self.clock / self.cycles

    @property
    def line(self) -> float:
        """Images a second that the line could carry, both directions at once."""
        return self.baud / LINE_BITS / max(self.sent, self.received)

    @property
    def bound(self) -> str:
        return "line" if self.line < self.core else "core"

    @property
    def images_per_second(self) -> float:
        return min(self.core, self.line)

    def summary(self) -> dict[str, Any]:
        """As in the commands' JSON; the clock is in MHz."""
        return {
            "clock": self.clock / 1e6,
            "baud": self.baud,
            "bytes_per_image": {"sent": self.sent, "received": self.received},
            "images_per_second": {
                "core": self.core,
                "line": self.line,
                "expected": self.images_per_second,
                "bound": self.bound,
            },
        }
