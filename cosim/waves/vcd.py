"""Signals of a waveform in the format VCD, cycle by cycle (IEEE 1364-2005, section 18)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

Cycle = Sequence[int]
"""The values of the wanted signals in a cycle; UNKNOWN if a bit of one is."""

UNKNOWN = -1


def cycles(file: Path, clock: str, signals: Sequence[str]) -> Iterator[Cycle]:
    """The values of `signals` in each cycle of `clock`: those that registers take at its next rising edge. The
    sequences that are given change with the next cycle.

    The file is read line by line, in little memory. Raises ValueError if it has no signal of a name.
    """
    return (values for _, _, values in timed_cycles(file, clock, signals))


def timed_cycles(file: Path, clock: str, signals: Sequence[str]) -> Iterator[tuple[int, int, Cycle]]:
    """The same, each with the times of the edges at which it begins and ends."""
    with file.open("rb") as lines:
        places = _places(lines, [clock, *signals], file)
        values = [UNKNOWN] * len(signals)
        new: dict[int, int] = {}
        time = began = 0
        for line in lines:
            kind = line[:1]
            if kind == b"#":
                # What changed with the edge is for the next cycle.
                if new.pop(0, 0):
                    yield began, time, values
                    began = time
                for place, value in new.items():
                    values[place - 1] = value
                new.clear()
                time = int(line[1:])
                continue
            bits, code = line[1:].split() if kind in b"bB" else (kind, line[1:].rstrip())
            for place in places.get(code, ()):
                try:
                    new[place] = int(bits, 2)
                except ValueError:
                    new[place] = UNKNOWN


def _places(lines: IO[bytes], names: Sequence[str], file: Path) -> dict[bytes, list[int]]:
    """Reads the head. Returns the places of each code that stands for some of `names`."""
    wanted: dict[str, list[int]] = {}
    for place, name in enumerate(names):
        wanted.setdefault(name, []).append(place)
    places: dict[bytes, list[int]] = {}
    scopes: list[str] = []
    for line in lines:
        words = line.split()
        match words[:1]:
            case [b"$scope"]:
                scopes.append(words[2].decode())
            case [b"$upscope"]:
                scopes.pop()
            case [b"$var"]:
                name = ".".join([*scopes, words[4].decode()])
                # A name may stand there twice, with the same code.
                for place in wanted.pop(name, ()):
                    places.setdefault(words[3], []).append(place)
            case [b"$enddefinitions"]:
                break
    if wanted:
        raise ValueError(f"{file} has no signal {next(iter(wanted))}")
    return places


def name_without_colons(file: Path) -> None:
    """Makes a waveform one that GTKWave opens: it takes a colon in a name for that of a range, and gives up. Yosys has
    them in the names of what it adds. The file keeps its size, and all but its head stays as it is."""

    def plain(match: re.Match[bytes]) -> bytes:
        return match[1] + match[2].replace(b":", b"_")

    with file.open("r+b") as lines:
        head = bytearray()
        for line in lines:
            head += line
            if line.lstrip().startswith(b"$enddefinitions"):
                break
        lines.seek(0)
        # A type, a size, a code, which may have a colon too, and the name.
        lines.write(re.sub(rb"^(\s*\$var\s+\S+\s+\S+\s+\S+\s+)(\S+)", plain, head, flags=re.M))
