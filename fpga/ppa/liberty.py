"""A library of standard cells: a file in the Liberty format, which the user supplies."""

from __future__ import annotations

import gzip
import hashlib
import re
import zlib
from dataclasses import dataclass, field
from math import isfinite, nan
from pathlib import Path

_LIBRARY = re.compile(r'\s*library\s*\(\s*"?([^")\s]+)"?\s*\)\s*\{')
_CELL = re.compile(r'\bcell\s*\(\s*"?([^")\s]+)"?\s*\)\s*\{')
_AREA = re.compile(r'\barea\s*:\s*"?([^";]*)')
_PIN = re.compile(r'\bpin\s*\(\s*"?([^")\s]+)"?\s*\)')
_FUNCTION = re.compile(r'\bfunction\s*:\s*"([^"]*)"')
_TIMING = ("capacitance", "cell_rise", "cell_fall", "values")
_FLIP_FLOP = re.compile(r"\bff\s*\(")
_NOT_A_GATE = re.compile(r"\b(ff|latch|statetable)\s*\(|\bdont_use\s*:\s*\"?true|\bthree_state\s*:")
_CLOCK_GATE = re.compile(r'\bclock_gating_integrated_cell\s*:\s*"?latch_posedge"?\s*;')
_ROLE = re.compile(r'\bclock_gate_(enable|clock|out)_pin\s*:\s*"?true')
GZIP = b"\x1f\x8b"


@dataclass(frozen=True, kw_only=True)
class ClockGate:
    """A cell that lets the clock pass while it is enabled, and the names of its pins."""

    cell: str
    enable: str
    clock: str
    out: str


@dataclass(frozen=True, kw_only=True)
class Liberty:
    """`text` is the file, `name` that of the library, and `areas` those of its cells, in the library's own unit.
    `buffer` is the smallest buffer, `clock_gate` the smallest gate of a rising clock, None where there is none."""

    name: str
    text: str = field(repr=False)
    areas: dict[str, float] = field(repr=False)
    buffer: str
    clock_gate: ClockGate | None = None

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_liberty(file: Path) -> Liberty:
    """Reads a library, which may be compressed by gzip.

    Raises OSError where there is no such file, and ValueError where it is no whole library with flip-flops and buffers.
    """
    if not file.is_file():
        raise OSError(f"{file} must be a Liberty file of standard cells, and there is no such file")
    text = _text(file)
    clean = re.sub(r"/\*.*?\*/", " ", text, flags=re.S)
    head = _LIBRARY.match(clean)
    if head is None:
        raise ValueError(f"{file} must be a Liberty file, which begins with library (NAME) {{")
    bare = re.sub(r'"[^"]*"', "", clean)
    if bare.count("{") != bare.count("}"):
        raise ValueError(f"{file} must be a whole Liberty file, and {_braces(bare)}; was it cut?")
    starts = [*_CELL.finditer(clean)]
    if not starts:
        raise ValueError(f"{file} must have cells, and has none")
    ends = [*(start.start() for start in starts[1:]), len(clean)]
    cells = {start[1]: clean[start.end() : end] for start, end in zip(starts, ends, strict=True)}
    if not any(_FLIP_FLOP.search(cell) for cell in cells.values()):
        raise ValueError(f"{file} must have flip-flops, and has none among {len(cells)} cells")
    areas = {name: _area(file, name, area[1]) for name, cell in cells.items() if (area := _AREA.search(cell))}
    buffers = [name for name, cell in cells.items() if name in areas and _is_buffer(cell)]
    if not buffers:
        raise ValueError(f"{file} must have buffers, and has none among {len(cells)} cells")
    for name in buffers:
        lacking = [word for word in _TIMING if not re.search(rf"\b{word}\s*[:(]", cells[name])]
        if lacking:
            raise ValueError(f"{file}: cell {name} must have {' and '.join(lacking)}, as its delay comes from them")
    gates = [gate for name, cell in cells.items() if name in areas and (gate := _clock_gate(name, cell))]
    return Liberty(
        name=head[1],
        text=text,
        areas=areas,
        buffer=min(buffers, key=lambda name: areas[name]),
        clock_gate=min(gates, key=lambda gate: areas[gate.cell], default=None),
    )


def _area(file: Path, cell: str, text: str) -> float:
    try:
        area = float(text)
    except ValueError:
        area = nan
    if not (isfinite(area) and area >= 0):
        raise ValueError(f"{file}: area of cell {cell} must be a number from 0, not {text.strip()!r}")
    return area


def _text(file: Path) -> str:
    content = file.read_bytes()
    try:
        content = gzip.decompress(content) if content.startswith(GZIP) else content
    except (EOFError, OSError, zlib.error) as error:
        raise ValueError(f"{file} must be a whole gzip file: {error}") from None
    return content.decode(errors="replace")


def _braces(bare: str) -> str:
    return f"{bare.count('{')} braces open, {bare.count('}')} close"


def _is_buffer(cell: str) -> bool:
    functions, pins = _FUNCTION.findall(cell), set(_PIN.findall(cell))
    return not _NOT_A_GATE.search(cell) and len(functions) == 1 and len(pins) == 2 and functions[0].strip("() ") in pins


def _clock_gate(name: str, cell: str) -> ClockGate | None:
    """Libraries mark such cells as not to be used, so that only clocks are gated with them."""
    if not _CLOCK_GATE.search(cell):
        return None
    pins = [*_PIN.finditer(cell)]
    ends = [*(pin.start() for pin in pins[1:]), len(cell)]
    roles = {role: pin[1] for pin, end in zip(pins, ends, strict=True) for role in _ROLE.findall(cell[pin.end() : end])}
    if roles.keys() != {"enable", "clock", "out"}:
        return None
    return ClockGate(cell=name, **roles)
