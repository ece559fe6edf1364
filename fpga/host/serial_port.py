"""A serial port as the line to a board."""

from __future__ import annotations

import contextlib
from types import TracebackType

import serial

from zeroskip.fpga.figures import LINE_BITS
from zeroskip.fpga.host.pipe import LineLost

MOST_AT_ONCE = 1 << 16


class SerialPipe:
    """A serial port, as a context, with eight data bits and no parity.

    Raises LineLost where the port cannot be opened, or goes away.
    """

    patience = 1.0

    def __init__(self, port: str, *, baud: int) -> None:
        self.name = port
        self._baud = baud

    def __enter__(self) -> SerialPipe:
        try:
            self._port = serial.Serial(self.name, self._baud, exclusive=True)
        except (serial.SerialException, ValueError, OverflowError, OSError) as error:
            raise LineLost(
                f"port must be a serial port that can be opened with {self._baud} baud, not {self.name}: {error}"
            ) from error
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(serial.SerialException, OSError):
            self._port.close()

    def write(self, data: bytes) -> None:
        try:
            # A port that takes no bytes any more must not hold up the host for ever.
            self._port.write_timeout = self.patience + 2 * LINE_BITS * len(data) / self._baud
            self._port.write(data)
        except (serial.SerialException, OSError) as error:
            raise self._lost(error) from error

    def read(self, timeout: float) -> bytes:
        try:
            self._port.timeout = timeout
            first: bytes = self._port.read(1)
            return first + self._port.read(min(self._port.in_waiting, MOST_AT_ONCE)) if first else b""
        except (serial.SerialException, OSError, TypeError) as error:
            # pyserial raises TypeError where the port was closed while it waited.
            raise self._lost(error) from error

    def _lost(self, error: Exception) -> LineLost:
        return LineLost(f"the line to {self.name} was lost: {error}")
