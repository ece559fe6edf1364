"""The carrier between a host and a board: bytes out, bytes in."""

from __future__ import annotations

from typing import Protocol


class LineLost(RuntimeError):
    """The line to a board no longer carries bytes, or nobody answers on it."""


class Pipe(Protocol):
    """Bytes in both directions, in order; some may be lost or damaged."""

    name: str
    """What messages call it: "/dev/ttyUSB0"."""
    patience: float
    """Seconds of the board's own time after which a missing answer is lost."""

    def write(self, data: bytes) -> None:
        """Sends all of `data`. Raises LineLost."""
        ...

    def read(self, timeout: float) -> bytes:
        """What has come, at least a byte; nothing where none comes within `timeout` seconds of the board's time.
        Raises LineLost."""
        ...
