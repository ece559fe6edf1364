"""The contents of block RAMs in the text from which a bitstream is packed: found by their markers, replaced, read back.
That of a Gowin FPGA is a netlist (zeroskip.fpga.bitstream.gowin).

ECP5:   .bram_init 7              iCE40:  .ram_data 25 1
        000 1ff 0a3 ...                   0123...cdef       (64 digits)
        (2,048 words of 9 bits)           (16 lines)
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from zeroskip.fpga.bitstream import gowin
from zeroskip.fpga.bitstream.layout import Slice
from zeroskip.fpga.bitstream.memories import Bits, Memory

SECTIONS = {
    "ecp5": re.compile(r"^\.bram_init (\d+)\n((?:[0-9a-f ]+\n)+)", re.M),
    "ice40": re.compile(r"^\.ram_data (\d+ \d+)\n((?:[0-9a-f]+\n)+)", re.M),
}


class PatchError(RuntimeError):
    """The contents of the memories are not where they must be: no bitstream is written."""


@dataclass(frozen=True, kw_only=True)
class Placed:
    """A slice of a memory, and the section of the text that holds its block RAM."""

    memory: Memory
    slice: Slice
    section: str


def sections(config: str, family: str) -> dict[str, NDArray[np.uint8]]:
    """The contents of each block RAM, in the order of the cell's own contents (zeroskip.fpga.bitstream.layout)."""
    if family == "gowin":
        return gowin.sections(config)
    return {found[1]: _parsed(found[2], family) for found in SECTIONS[family].finditer(config)}


def place(config: str, family: str, marked: Mapping[Memory, tuple[Bits, Iterable[Slice]]]) -> list[Placed]:
    """Finds the sections of all slices of memories that hold the markers given.

    Raises PatchError unless every bit of every slice is in one section, each section of one slice.
    """
    by_contents: dict[bytes, list[str]] = {}
    for name, bits in sections(config, family).items():
        by_contents.setdefault(bits.tobytes(), []).append(name)
    placed = []
    for memory, (marker, slices) in marked.items():
        for one in slices:
            found = by_contents.get(one.contents(marker).tobytes(), [])
            if len(found) != 1:
                raise PatchError(f"{memory.name}{one.suffix} must be in one block RAM, and was found in {len(found)}")
            placed.append(Placed(memory=memory, slice=one, section=found[0]))
    return placed


def patched(config: str, family: str, placed: Iterable[Placed], contents: Mapping[Memory, Bits]) -> str:
    """The text with other contents in the memories."""
    wanted = {one.section: one.slice.contents(contents[one.memory]) for one in placed}
    if family == "gowin":
        return gowin.replaced(config, wanted)

    def replace(section: re.Match[str]) -> str:
        if section[1] not in wanted:
            return section[0]
        head = section[0].partition("\n")[0]
        return f"{head}\n{_written(wanted[section[1]], family)}"

    return SECTIONS[family].sub(replace, config)


def read_back(config: str, family: str, placed: Iterable[Placed]) -> dict[Memory, Bits]:
    """What the memories hold in a text."""
    found = sections(config, family)
    flat: dict[Memory, Bits] = {}
    for one in placed:
        memory = one.memory
        bits = flat.setdefault(memory, np.zeros(memory.depth * memory.width, np.uint8))
        used = one.slice.numbers > 0
        bits[one.slice.numbers[used] - 1] = found[one.section][used]
    return {memory: bits.reshape(memory.depth, memory.width) for memory, bits in flat.items()}


def _parsed(text: str, family: str) -> NDArray[np.uint8]:
    if family == "ecp5":
        # Two words of 9 bits are one of the cell's 18, which its parameters pad to 20.
        words = np.array([int(word, 16) for word in text.split()], np.uint16)
        bits = (words[:, None] >> np.arange(9) & 1).astype(np.uint8).reshape(-1, 18)
        return np.pad(bits, ((0, 0), (0, 2))).reshape(-1)
    lines = [np.array([int(digit, 16) for digit in reversed(line)], np.uint8) for line in text.split()]
    return (np.concatenate(lines)[:, None] >> np.arange(4) & 1).astype(np.uint8).reshape(-1)


def _written(bits: NDArray[np.uint8], family: str) -> str:
    if family == "ecp5":
        words = bits.reshape(-1, 20)[:, :18].reshape(-1, 9) @ (1 << np.arange(9))
        digits = [f"{word:03x}" for word in words]
        return "".join(" ".join(digits[start : start + 8]) + "\n" for start in range(0, len(digits), 8))
    nibbles = bits.reshape(16, -1, 4) @ (1 << np.arange(4))
    return "".join("".join(f"{nibble:x}" for nibble in line[::-1]) + "\n" for line in nibbles)
