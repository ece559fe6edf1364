"""Sessions of GTKWave: its save file (GTKWave 3.3 user's guide, "save file format"), and its translate filters."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from zeroskip.cosim.waves.shown import Enumeration, Group, Shown

FLAGS = {"hex": 0x22, "binary": 0x28, "signed": 0x420, "unsigned": 0x24}
"""How a trace is written, right-aligned."""

ZOOM = -4.5
"""The zoom at first, a power of two: some sixty cycles fill a window. Behind it stand the markers, of which none is
set."""

TRANSLATED = 0x2022
"""The trace is hexadecimal, and the filter in the line before its name translates what that gives."""

BEGIN, END, FOLDED, BLANK = 0x800000, 0x1000000, 0x400000, 0x200
"""A group's first and last trace, which are blank."""


def session(groups: Sequence[Group], *, head: str, waveform: Path, path: Path, filters: Path) -> str:
    """The session at `path` that shows the groups of a waveform, with the filters in the folder `filters`.

    All paths are absolute, so that GTKWave finds the files from any folder. It finds them too where all of them have
    been moved together: it takes the paths relative to that of the session in `[savefile]`.
    """
    lines = [
        f"[*] {head}",
        f'[dumpfile] "{waveform.absolute()}"',
        f'[savefile] "{path.absolute()}"',
        "[size] 1600 1000",
        "[signals_width] 340",
        f"*{ZOOM} {' '.join(27 * ['-1'])}",
    ]
    for group in groups:
        folded = 0 if group.open else FOLDED
        lines += [f"@{BEGIN | folded | BLANK:x}", f"-{group.title}"]
        for signal in group.signals:
            lines += _trace(signal, filters)
        lines += [f"@{END | folded | BLANK:x}", f"-{group.title}"]
    return "\n".join([*lines, ""])


def _trace(signal: Shown, filters: Path) -> list[str]:
    name = f"+{{{signal.label}}} {signal.name}{f'[{signal.bits - 1}:0]' if signal.bits > 1 else ''}"
    if isinstance(signal.form, Enumeration):
        return [f"@{TRANSLATED:x}", f"^1 {(filters / filter_name(signal.form)).absolute()}", name]
    flags = FLAGS["binary" if signal.bits == 1 else signal.form]
    return [f"@{flags:x}", name]


def filter_name(enumeration: Enumeration) -> str:
    return f"{enumeration.title.replace(' ', '_')}.txt"


def filter_text(enumeration: Enumeration) -> str:
    """The translate filter: lines of what the trace would show without it, and the name."""
    return "".join(f"{value:x} {name}\n" for value, name in enumeration.names.items())
