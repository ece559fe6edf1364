"""Waveforms read back: VCD by lines, FST by pylibfst."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pylibfst

from zeroskip.cosim.simulator import Simulator, SimulatorError, require_fst

CYCLE = 2
"""Time units of the waveforms in a clock cycle."""


@dataclass(frozen=True, eq=False)
class Waveform:
    """`bits` of all signals by their names from the top of the hierarchy, without backslashes; `changes` of those that
    were asked for: times and values, as digits."""

    bits: dict[str, int]
    changes: dict[str, list[tuple[int, str]]]

    def rises(self, name: str) -> list[int]:
        """The cycles in which a signal of one bit becomes one."""
        return [time // CYCLE for time, value in self.changes[name] if value == "1"]


def read(file: Path, signals: Iterable[str] = ()) -> Waveform:
    """A waveform, of either format, with the changes of `signals`."""
    return _vcd(file, list(signals)) if file.read_bytes()[:1] == b"$" else _fst(file, list(signals))


def can_write_fst() -> bool:
    try:
        require_fst(Simulator.VERILATOR)
    except SimulatorError:
        return False
    return True


def _vcd(file: Path, signals: list[str]) -> Waveform:
    head, _, rest = file.read_text().partition("$enddefinitions")
    scopes: list[str] = []
    bits: dict[str, int] = {}
    codes: dict[str, list[str]] = {}
    for words in (line.split() for line in head.splitlines()):
        match words[:1]:
            case ["$scope"]:
                scopes.append(words[2])
            case ["$upscope"]:
                scopes.pop()
            case ["$var"]:
                name = ".".join([*scopes, words[4].lstrip("\\")])
                bits[name] = int(words[2])
                if name in signals:
                    codes.setdefault(words[3], []).append(name)
    changes: dict[str, list[tuple[int, str]]] = {name: [] for name in signals}
    now = 0
    for line in rest.splitlines():
        if line.startswith("#"):
            now = int(line[1:])
            continue
        value, code = line[1:].split() if line.startswith("b") else (line[:1], line[1:])
        for name in codes.get(code, ()):
            changes[name].append((now, value))
    return Waveform(bits, changes)


def _fst(file: Path, signals: list[str]) -> Waveform:
    reader = pylibfst.lib.fstReaderOpen(str(file).encode())
    _, found = pylibfst.get_scopes_signals2(reader)
    by_name = {name.partition(" [")[0].replace("\\", ""): signal for name, signal in found.by_name.items()}
    handles: dict[int, list[str]] = {}
    for name in signals:
        handles.setdefault(by_name[name].handle, []).append(name)
    changes: dict[str, list[tuple[int, str]]] = {name: [] for name in signals}

    def changed(data: Any, time: int, handle: int, value: Any) -> None:
        for name in handles.get(handle, ()):
            changes[name].append((time, pylibfst.string(value)))

    pylibfst.lib.fstReaderSetFacProcessMaskAll(reader)
    pylibfst.fstReaderIterBlocks(reader, changed)
    pylibfst.lib.fstReaderClose(reader)
    return Waveform({name: signal.length for name, signal in by_name.items()}, changes)
