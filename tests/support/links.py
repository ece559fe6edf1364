"""Frames of the host protocol made with other software than the project's: the `cobs` package and zlib."""

from __future__ import annotations

import struct
import zlib

from cobs import cobs

IDENTIFY, WRITE, READ, RUN, STATUS, REFUSED = 1, 2, 3, 4, 5, 255
"""Commands, and what stands in their place in a refusal."""

CRC, CUT, SHORT, LONG, LINE, COMMAND, LENGTH, FIELD, NUMBER, BUSY, LIMIT = range(1, 12)
"""Errors."""


def frame(content: bytes) -> bytes:
    return cobs.encode(content + zlib.crc32(content).to_bytes(4, "little")) + b"\0"


def contents(stream: bytes) -> list[bytes]:
    """The contents of frames whose checksums must be right."""
    *frames, rest = stream.split(b"\0")
    assert rest == b"", f"the stream ends inside a frame: {rest!r}"
    found = []
    for stuffed in frames:
        content = cobs.decode(stuffed)
        assert zlib.crc32(content[:-4]).to_bytes(4, "little") == content[-4:]
        found.append(content[:-4])
    return found


def identify(number: int) -> bytes:
    return bytes([IDENTIFY, number])


def status(number: int) -> bytes:
    return bytes([STATUS, number])


def write(number: int, target: int, address: int, width: int, *words: int) -> bytes:
    head = struct.pack("<BBBHI", WRITE, number, width, target, address)
    return head + b"".join(word.to_bytes(width, "little") for word in words)


def read(number: int, address: int, count: int) -> bytes:
    return struct.pack("<BBHI", READ, number, count, address)


def run(number: int, start: bytes, limit: int = 1000) -> bytes:
    return struct.pack("<BBI", RUN, number, limit) + start


def refused(number: int, error: int, expected: int) -> bytes:
    return bytes([REFUSED, number, error, expected])


def answer(content: bytes) -> bytes:
    """The head of the answer to a request that is obeyed."""
    return content[:2]


def damage_of(stuffed: bytes, longest: int) -> int | None:
    """The error of a frame without its delimiter, by the `cobs` package and zlib; None for a whole one."""
    try:
        sealed = cobs.decode(stuffed)
    except cobs.DecodeError:
        return CUT
    if len(sealed) > longest + 4:
        return LONG
    if len(sealed) < 6:
        return SHORT
    return None if zlib.crc32(sealed[:-4]).to_bytes(4, "little") == sealed[-4:] else CRC
