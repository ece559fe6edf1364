"""A part of a waveform: some cycles of a run, in the format VCD, and in FST by GTKWave's vcd2fst."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from zeroskip.cosim.records import Window
from zeroskip.cosim.waves.vcd import timed_cycles

CONVERTER = "vcd2fst"
"""GTKWave's program that makes a waveform in FST of one in VCD."""


def require_converter() -> None:
    """Raises ValueError unless a window can be written in the format FST."""
    if shutil.which(CONVERTER) is None:
        raise ValueError(
            f"waves must end in .vcd with from_cycle or cycles, as there is no {CONVERTER}, which makes .fst of it; "
            "it comes with GTKWave (Debian: apt-get install gtkwave)"
        )


def write_window(path: Path, form: str, waveform: Path, window: Window, clock: str, begins: Sequence[str]) -> None:
    """Writes the cycles of `window` of a waveform in the format VCD to `path`, in the format `form`. Cycle 0 is the
    first one in which the signals `begins` are all high: a start is taken. Times stay those of the run.

    Raises ValueError if the run has fewer cycles than come before the window.
    """
    begin, end = _times(waveform, window, clock, begins)
    if form == "vcd":
        _cut(path, waveform, begin, end)
        return
    part = waveform.with_suffix(".part.vcd")
    _cut(part, waveform, begin, end)
    subprocess.run([CONVERTER, part, path], check=True, stdout=subprocess.DEVNULL)


def _times(waveform: Path, window: Window, clock: str, begins: Sequence[str]) -> tuple[int, int | None]:
    """When the window begins, and the time behind its last cycle, or None where it goes on to the end of the run."""
    begin = end = None
    now = 0
    for began, ended, values in timed_cycles(waveform, clock, begins):
        # Before its first start, a run has no cycle 0.
        if not now and any(value != 1 for value in values):
            continue
        if now == window.first:
            begin = began
        now += 1
        if window.count is not None and now == window.first + window.count:
            end = ended
            break
    if begin is None:
        raise ValueError(
            f"from_cycle must be below {now:,}, the cycles that were recorded from the first start on, not "
            f"{window.first:,}"
        )
    return begin, end


def _cut(path: Path, waveform: Path, begin: int, end: int | None) -> None:
    """The part of a waveform from a time on, with the values that all signals have there, to the time `end`."""
    with waveform.open("rb") as lines, path.open("wb") as part:
        for line in lines:
            part.write(line)
            if line.lstrip().startswith(b"$enddefinitions"):
                break
        values: dict[bytes, bytes] = {}
        inside = False
        for line in lines:
            if line[:1] == b"#":
                time = int(line[1:])
                if time > begin and not inside:
                    inside = True
                    part.write(b"#%d\n" % begin)
                    part.writelines(values.values())
                if end is not None and time >= end:
                    part.write(b"#%d\n" % end)
                    break
                if inside:
                    part.write(line)
            elif inside:
                part.write(line)
            elif line[:1] != b"$":
                # A value and a code, with a space between them where there are several bits.
                values[line.split()[-1] if line[:1] in b"bBrRsS" else line[1:].rstrip()] = line
