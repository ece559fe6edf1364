"""A computer's end of USB at full speed, as far as a serial port needs it (USB 2.0, chapters 8 and 9; CDC PSTN 1.2)."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import Protocol

from zeroskip.cosim.usb.packets import (
    IDLE,
    PacketError,
    Pid,
    content,
    data,
    handshake,
    kind,
    packet,
    pid_byte,
    start_of_frame,
    states,
    token,
)

BIT_RATE = 12_000_000

TURN = 18
"""Bits after a packet within which its answer has begun (section 7.1.19)."""

GAP = 3
"""Bits between two packets of the host (section 7.1.18: at least 2)."""

RESET_BITS = 600
"""50 us. A real host takes 10 ms, of which a device may need 2.5 us."""

FRAME_BITS = 12_000
"""1 ms."""

ATTEMPTS = 3
"""How often the host sends a packet that is not answered (section 10.2.6)."""

CLASS_INTERFACE_OUT = 0x21
SET_LINE_CODING, SET_CONTROL_LINE_STATE = 0x20, 0x22
GET_DESCRIPTOR, SET_ADDRESS, SET_CONFIGURATION = 6, 5, 9
DEVICE, CONFIGURATION, STRING, INTERFACE, ENDPOINT = 1, 2, 3, 4, 5
CDC_DATA, BULK = 0x0A, 2


class UsbError(RuntimeError):
    """A device that does not do what the standard asks for."""


@dataclass(frozen=True, kw_only=True)
class Heard:
    """What a device answered: the states of the line, or nothing, and how many bits it waited. `time` are the bits
    since the beginning."""

    line: str
    waited: float
    time: float


class Wire(Protocol):
    """The line to a device."""

    def drive(self, line: str, listen: int) -> Heard:
        """Drives the states, and then listens for an answer that begins within `listen` bits of the end of the last
        packet."""
        ...


class UsbHost:
    """Talks to one device. `enumerate` must come first; `read` and `write` are then for its serial port.

    Raises UsbError where the device does not do what the standard asks for.
    """

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self.time = 0.0
        self.waits: list[float] = []
        """How many bits the device waited before each answer."""
        self.packets = 0
        """Data packets that were acknowledged, in both directions."""
        self.refused = 0
        """Packets that the device did not take, or had none to give (NAK)."""
        self.damaged = 0
        """Packets of the device that were damaged: they count as no answer."""
        self._frame = 0
        self._begin()

    def _begin(self) -> None:
        self.address = 0
        self.out_endpoint = self.in_endpoint = 0
        self.most = 8
        self._toggles: dict[tuple[int, bool], int] = {}

    def enumerate(self, address: int = 5) -> dict[str, bytes]:
        """Resets the bus, gives the device an address and a configuration, and opens its serial port. Returns its
        descriptors by what they are: "device", "configuration" and "product"."""
        self._begin()
        self._drive("0" * RESET_BITS + IDLE * 100, listen=0)
        first = self.control_in(0x80, GET_DESCRIPTOR, DEVICE << 8, 0, 8)
        self.most = first[7]
        self.control_out(0, SET_ADDRESS, address, 0)
        self.address = address
        found = {"device": self.control_in(0x80, GET_DESCRIPTOR, DEVICE << 8, 0, 18)}
        head = self.control_in(0x80, GET_DESCRIPTOR, CONFIGURATION << 8, 0, 9)
        total = int.from_bytes(head[2:4], "little")
        found["configuration"] = self.control_in(0x80, GET_DESCRIPTOR, CONFIGURATION << 8, 0, total)
        found["product"] = self.control_in(0x80, GET_DESCRIPTOR, STRING << 8 | found["device"][15], 0x0409, 255)
        self.configure(found["configuration"])
        return found

    def configure(self, configuration: bytes) -> None:
        """Chooses the configuration, after which all endpoints begin with DATA0 (section 9.1.1.5), and opens the port
        as drivers do."""
        self.control_out(0, SET_CONFIGURATION, configuration[5], 0)
        self._toggles.clear()
        self.out_endpoint, self.in_endpoint = bulk_endpoints(configuration)
        coding = (115_200).to_bytes(4, "little") + bytes([0, 0, 8])
        self.control_out(CLASS_INTERFACE_OUT, SET_LINE_CODING, 0, 0, coding)
        # A port may have no such lines (CDC PSTN 1.2, table 13).
        with contextlib.suppress(StalledError):
            self.control_out(CLASS_INTERFACE_OUT, SET_CONTROL_LINE_STATE, 3, 0)

    def control_in(self, kind_of: int, request: int, value: int, index: int, length: int) -> bytes:
        """Asks the device for at most `length` bytes."""
        self._setup(kind_of, request, value, index, length)
        found = b""
        while len(found) < length:
            part = self._in(0)
            found += part
            if len(part) < self.most:
                break
        self._toggles[0, False] = 1
        self._out(0, b"")
        return found

    def control_out(self, kind_of: int, request: int, value: int, index: int, sent: bytes = b"") -> None:
        """Tells the device something."""
        self._setup(kind_of, request, value, index, len(sent))
        for at in range(0, len(sent), self.most):
            self._out(0, sent[at : at + self.most])
        self._toggles[0, True] = 1
        if self._in(0):
            raise UsbError("the answer to a request that tells something must be empty")

    def write(self, sent: bytes) -> bool:
        """Sends one packet to the serial port. Returns whether the device took it."""
        return self._try_out(self.out_endpoint, sent)

    def read(self) -> bytes | None:
        """One packet of the serial port; None where the device has none."""
        return self._try_in(self.in_endpoint)

    def skip(self, bits: int) -> None:
        """Lets time pass."""
        self._drive(IDLE * bits, listen=0)

    def raw(self, *packets: bytes | str, listen: int = TURN) -> bytes | None:
        """Sends packets (or states of the line) one after the other, and returns the device's answer: None where it
        gives none."""
        line = (IDLE * GAP).join(one if isinstance(one, str) else states(one) for one in packets)
        heard = self._drive(IDLE * GAP + line, listen)
        if not heard.line:
            return None
        self.waits.append(heard.waited)
        try:
            found = packet(heard.line)
            if kind(found) in (Pid.DATA0, Pid.DATA1):
                content(found)
        except PacketError:
            self.damaged += 1
            return None
        return found

    def toggle(self, endpoint: int, *, to_host: bool) -> Pid:
        """The kind of the next data packet of an endpoint."""
        return Pid.DATA1 if self._toggles.get((endpoint, to_host), 0) else Pid.DATA0

    def _setup(self, kind_of: int, request: int, value: int, index: int, length: int) -> None:
        fields = b"".join(number.to_bytes(2, "little") for number in (value, index, length))
        sent = bytes([kind_of, request]) + fields
        for _ in range(ATTEMPTS):
            answer = self.raw(token(Pid.SETUP, self.address, 0), data(Pid.DATA0, sent))
            if answer == handshake(Pid.ACK):
                self._toggles[0, True] = self._toggles[0, False] = 1
                return
        raise UsbError(f"SETUP must be acknowledged, not answered by {answer!r}")

    def _out(self, endpoint: int, sent: bytes) -> None:
        while not self._try_out(endpoint, sent):
            pass

    def _in(self, endpoint: int) -> bytes:
        while (found := self._try_in(endpoint)) is None:
            pass
        return found

    def _try_out(self, endpoint: int, sent: bytes) -> bool:
        for _ in range(ATTEMPTS):
            kind_of = self.toggle(endpoint, to_host=False)
            answer = self.raw(token(Pid.OUT, self.address, endpoint), data(kind_of, sent))
            if answer is not None:
                break
        if answer == handshake(Pid.ACK):
            self._flip(endpoint, to_host=False)
            return True
        if answer == handshake(Pid.NAK):
            self.refused += 1
            return False
        raise _wrong(answer)

    def _try_in(self, endpoint: int) -> bytes | None:
        for _ in range(ATTEMPTS):
            answer = self.raw(token(Pid.IN, self.address, endpoint))
            if answer is not None:
                break
        if answer == handshake(Pid.NAK):
            self.refused += 1
            return None
        if answer is None or answer[0] not in (pid_byte(Pid.DATA0), pid_byte(Pid.DATA1)):
            raise _wrong(answer)
        found = content(answer)
        self.raw(handshake(Pid.ACK), listen=0)
        if kind(answer) is not self.toggle(endpoint, to_host=True):
            # The device sent it again, as an acknowledgement was lost.
            return None
        self._flip(endpoint, to_host=True)
        return found

    def _flip(self, endpoint: int, *, to_host: bool) -> None:
        self._toggles[endpoint, to_host] = self._toggles.get((endpoint, to_host), 0) ^ 1
        self.packets += 1

    def _drive(self, line: str, listen: int) -> Heard:
        if self.time >= self._frame * FRAME_BITS:
            self._frame = int(self.time // FRAME_BITS) + 1
            line = IDLE * GAP + states(start_of_frame(self._frame)) + line
        heard = self._wire.drive(line, listen)
        self.time = heard.time
        return heard


class StalledError(UsbError):
    """The device does not know a request."""


def _wrong(answer: bytes | None) -> UsbError:
    if answer == handshake(Pid.STALL):
        return StalledError("the device does not know the request")
    return UsbError("the device does not answer" if answer is None else f"the device answers {answer.hex()}")


def bulk_endpoints(configuration: bytes) -> tuple[int, int]:
    """The endpoints for data to the device and from it, of the interface of class CDC data. Raises UsbError where there
    are none."""
    found: dict[bool, int] = {}
    inside = False
    for descriptor in descriptors(configuration):
        if descriptor[1] == INTERFACE:
            inside = descriptor[5] == CDC_DATA
        elif descriptor[1] == ENDPOINT and inside and descriptor[3] & 3 == BULK:
            found[bool(descriptor[2] & 0x80)] = descriptor[2] & 15
    if set(found) != {False, True}:
        raise UsbError("the device has no serial port")
    return found[False], found[True]


def descriptors(configuration: bytes) -> list[bytes]:
    """The descriptors of a configuration, one after the other. Raises UsbError where their lengths are wrong."""
    found, at = [], 0
    while at < len(configuration):
        length = configuration[at]
        if length < 2 or at + length > len(configuration):
            raise UsbError("the lengths of descriptors do not fit")
        found.append(configuration[at : at + length])
        at += length
    return found
