"""What a host asks of a board, before it has a number."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from zeroskip.rtl.link.protocol import FIELDS, HEAD, Command

MOST_RESULTS = (1 << 16) - 1
"""The most results that one request may ask for."""


@dataclass(frozen=True, kw_only=True)
class Request:
    """A command and its `fields`, with words or start word behind them. It keeps the board busy for `cycles`, at
    most, and asks for `results` bytes of results."""

    command: Command
    fields: bytes = b""
    cycles: int = 0
    results: int = 0

    def content(self, number: int) -> bytes:
        """The content of the frame."""
        return bytes([self.command, number]) + self.fields


@dataclass(frozen=True, kw_only=True)
class Burst:
    """`words` for the memory `target` of a core, from `address` on, each of `width` bytes, the lowest first."""

    target: int
    address: int
    width: int
    words: bytes

    def requests(self, longest: int) -> Iterator[Request]:
        """The same as requests whose content has at most `longest` bytes, or one word where that has more."""
        at_once = max(1, (longest - HEAD - FIELDS[Command.WRITE]) // self.width) * self.width
        for first in range(0, len(self.words), at_once):
            fields = struct.pack("<BHI", self.width, self.target, self.address + first // self.width)
            yield Request(command=Command.WRITE, fields=fields + self.words[first : first + at_once])


def read_request(address: int, count: int, width: int) -> Request:
    """Asks for `count` results of `width` bytes from `address` on, at most MOST_RESULTS."""
    return Request(command=Command.READ, fields=struct.pack("<HI", count, address), results=count * width)


def read_requests(count: int, width: int) -> Iterator[Request]:
    """Asks for the first `count` results of `width` bytes."""
    for address in range(0, count, MOST_RESULTS):
        yield read_request(address, min(MOST_RESULTS, count - address), width)


def run_request(start: bytes, limit: int) -> Request:
    """Starts a run that may take `limit` cycles."""
    return Request(command=Command.RUN, fields=struct.pack("<I", limit) + start, cycles=limit)
