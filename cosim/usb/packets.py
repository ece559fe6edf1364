"""Packets of USB at full speed, as bytes and as states of the line (USB 2.0, sections 7.1.7 to 7.1.9 and 8.1 to 8.4).

The line is in a state for each bit: "J", "K" or "0" (single-ended zero, both lines low).
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Iterator

IDLE = "J"
END = "00J"
"""The end of a packet."""

SYNC = [0] * 7 + [1]
MOST_ONES = 6
"""After so many ones in a row a zero is stuffed in."""


class Pid(enum.IntEnum):
    """The kinds of packets (table 8-1)."""

    OUT = 0b0001
    IN = 0b1001
    SOF = 0b0101
    SETUP = 0b1101
    DATA0 = 0b0011
    DATA1 = 0b1011
    ACK = 0b0010
    NAK = 0b1010
    STALL = 0b1110


class PacketError(ValueError):
    """The line does not carry a packet that is whole."""


def pid_byte(pid: Pid) -> int:
    """The kind, and behind it its complement."""
    return pid | (~pid & 15) << 4


def token(pid: Pid, address: int, endpoint: int) -> bytes:
    """OUT, IN or SETUP for an endpoint of a device."""
    return _with_crc5(pid, address | endpoint << 7)


def start_of_frame(number: int) -> bytes:
    return _with_crc5(Pid.SOF, number % 2048)


def data(pid: Pid, content: bytes) -> bytes:
    """DATA0 or DATA1 with `content`."""
    checksum = _crc(_bits(content), 16, 0b1000000000000101)
    return bytes([pid_byte(pid)]) + content + checksum.to_bytes(2, "little")


def handshake(pid: Pid) -> bytes:
    return bytes([pid_byte(pid)])


def content(packet: bytes) -> bytes:
    """The content of a data packet. Raises PacketError where its checksum does not match."""
    inside = packet[1:-2]
    if len(packet) < 3 or data(kind(packet), inside) != packet:
        raise PacketError("the checksum does not match")
    return inside


def kind(packet: bytes) -> Pid:
    """Raises PacketError where there is none."""
    if packet and packet[0] & 15 in set(Pid) and pid_byte(Pid(packet[0] & 15)) == packet[0]:
        return Pid(packet[0] & 15)
    raise PacketError("the packet has no kind")


def states(packet: bytes) -> str:
    """The states of the line from the first of the synchronisation to the end of the packet."""
    state, found = IDLE, []
    for bit in _stuffed([*SYNC, *_bits(packet)]):
        if bit == 0:
            state = "K" if state == "J" else "J"
        found.append(state)
    return "".join(found) + END


def packet(line: str) -> bytes:
    """The packet in the states of a line, from its first K to its end. Raises PacketError where it is not whole."""
    body, end = line[: -len(END)], line[-len(END) :]
    if end != END or set(body) - {"J", "K"}:
        raise PacketError(f"a packet must end with {END}, not {line[-6:]!r}")
    bits = [int(state == before) for before, state in zip(IDLE + body, body, strict=False)]
    found = list(_unstuffed(bits))
    if found[: len(SYNC)] != SYNC:
        raise PacketError("the packet does not begin with the synchronisation")
    found = found[len(SYNC) :]
    if len(found) % 8:
        raise PacketError("the packet is not of whole bytes")
    return bytes(sum(bit << place for place, bit in enumerate(found[at : at + 8])) for at in range(0, len(found), 8))


def _with_crc5(pid: Pid, fields: int) -> bytes:
    bits = [fields >> place & 1 for place in range(11)]
    return bytes([pid_byte(pid)]) + (fields | _crc(bits, 5, 0b00101) << 11).to_bytes(2, "little")


def _bits(content: bytes) -> Iterator[int]:
    """From the lowest on."""
    return (byte >> place & 1 for byte in content for place in range(8))


def _crc(bits: Iterable[int], width: int, polynomial: int) -> int:
    """The checksum as a field whose lowest bit is sent first. It is sent from the highest power of the remainder on
    (section 8.3.5)."""
    remainder = mask = (1 << width) - 1
    for bit in bits:
        high = remainder >> (width - 1)
        remainder = remainder << 1 & mask
        if high != bit:
            remainder ^= polynomial
    return int(f"{~remainder & mask:0{width}b}"[::-1], 2)


def _stuffed(bits: Iterable[int]) -> Iterator[int]:
    ones = 0
    for bit in bits:
        yield bit
        ones = ones + 1 if bit else 0
        if ones == MOST_ONES:
            yield 0
            ones = 0


def _unstuffed(bits: Iterable[int]) -> Iterator[int]:
    ones = 0
    for bit in bits:
        if ones == MOST_ONES:
            if bit:
                raise PacketError("seven ones in a row")
            ones = 0
            continue
        ones = ones + 1 if bit else 0
        yield bit
