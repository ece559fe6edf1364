"""How fast a network runs on a board, and what limits it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

LINE_BITS = 10
"""Bits of a byte on a serial line: a start bit, eight bits, a stop bit."""

USB_BYTES = 19 * 64 * 1000
"""Bytes a second on USB at full speed, both directions together: 19 packets of 64 bytes in a frame of 1 ms (USB 2.0,
table 5-9)."""

ENERGY = (
    "not measured: the power of the board in watts while it runs is needed, from a meter in its supply; the energy of "
    "an image is that power divided by the images a second"
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """What carries the link: a serial line of `baud` bits a second, or USB, where it is None."""

    baud: int | None

    @property
    def title(self) -> str:
        return "USB" if self.baud is None else f"line at {self.baud:,} baud"

    def seconds(self, sent: float, received: float) -> float:
        """What so many bytes take, both directions at once: USB carries one direction at a time."""
        if self.baud is None:
            return (sent + received) / USB_BYTES
        return max(sent, received) * LINE_BITS / self.baud


def line_of(facts: dict[str, Any], baud: int) -> Line:
    """The line of a board that says `facts` of itself (zeroskip.fpga.identity); `baud` is that of a serial line."""
    return Line(baud=None if facts.get("carrier") == "usb" else baud)


@dataclass(frozen=True, kw_only=True)
class BoardSpeed:
    """The rates of a board whose clock has `clock` Hz, at its line.

    An image takes `cycles` in the core, and `sent` and `received` bytes on the line, means over all images, with all
    heads and checksums. The line carries the next image while the core works on one, so that the slower of the two
    decides.
    """

    clock: float
    carrier: Line
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
        return 1 / self.carrier.seconds(self.sent, self.received)

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
            "baud": self.carrier.baud,
            "bytes_per_image": {"sent": self.sent, "received": self.received},
            "images_per_second": {
                "core": self.core,
                "line": self.line,
                "expected": self.images_per_second,
                "bound": self.bound,
            },
        }
