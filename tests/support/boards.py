"""A board in software, for the tests of the host: written from the protocol's page."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from random import Random

from cobs import cobs
from support import links

FACTS = {"protocol": 1, "core": "adder", "longest": 60, "buffer": 128, "clock": 1_000_000}


class AdderBoard:
    """Obeys requests. Its core adds the words of its memory into word 0, and clears the others: a run that is repeated
    without new inputs gives something else."""

    def __init__(self, facts: dict[str, object] | None = None) -> None:
        self.facts = FACTS if facts is None else facts
        self.words = [0] * 16
        self.expected = 0
        self.refused = 0
        self.runs = 0
        self._come = b""

    def feed(self, data: bytes) -> bytes:
        """The answers to the frames in `data`, and to what came before."""
        *frames, self._come = (self._come + data).split(b"\0")
        return b"".join(links.frame(self._answer(stuffed)) for stuffed in frames if stuffed)

    def _answer(self, stuffed: bytes) -> bytes:
        error = links.damage_of(stuffed, 60)
        if error is not None:
            return self._refuse(0, error)
        content = cobs.decode(stuffed)[:-4]
        command, number, fields = content[0], content[1], content[2:]
        if command != links.IDENTIFY and number != self.expected:
            return self._refuse(number, links.NUMBER)
        self.expected = (number + 1) % 256
        head = content[:2]
        if command == links.IDENTIFY:
            return head + json.dumps(self.facts).encode()
        if command == links.WRITE:
            width, _, address = struct.unpack("<BHI", fields[:7])
            for at in range(7, len(fields), width):
                self.words[address] = int.from_bytes(fields[at : at + width], "little")
                address += 1
            return head
        if command == links.READ:
            count, address = struct.unpack("<HI", fields)
            return head + b"".join(word.to_bytes(4, "little") for word in self.words[address : address + count])
        if command == links.RUN:
            self.runs += 1
            self.words = [sum(self.words)] + [0] * 15
            return head + struct.pack("<BI", 0, 16)
        assert command == links.STATUS
        return head + struct.pack("<BIH", 1, 16, self.refused)

    def _refuse(self, number: int, error: int) -> bytes:
        self.refused += 1
        return links.refused(number, error, self.expected)


class BoardPipe:
    """A pipe to a board in software. `out` and `back` may change what goes to the board, and what comes back."""

    name = "the board"
    patience = 1.0

    def __init__(
        self,
        board: AdderBoard,
        *,
        out: Callable[[bytes], bytes] = lambda data: data,
        back: Callable[[bytes], bytes] = lambda data: data,
    ) -> None:
        self.board = board
        self._change_out, self._change_back = out, back
        self._waiting = b""
        self.most_waiting = 0
        """The most bytes that were sent before the host listened."""

    def write(self, data: bytes) -> None:
        self.most_waiting = max(self.most_waiting, len(data))
        self._waiting += self._change_back(self.board.feed(self._change_out(data)))

    def read(self, timeout: float) -> bytes:
        come, self._waiting = self._waiting, b""
        return come


def bad_line(seed: int, rate: float) -> Callable[[bytes], bytes]:
    """Flips bits, drops bytes and adds some, each byte with the probability `rate`."""
    random = Random(seed)

    def change(data: bytes) -> bytes:
        changed = bytearray()
        for byte in data:
            if random.random() >= rate:
                changed.append(byte)
                continue
            kind = random.randrange(3)
            if kind == 0:
                changed.append(byte ^ 1 << random.randrange(8))
            elif kind == 1:
                changed += bytes([byte, random.randrange(256)])
        return bytes(changed)

    return change
