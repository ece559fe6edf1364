"""The files that record a run. Imports nothing heavy."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, kw_only=True)
class Window:
    """`count` cycles of a run from cycle `first` on, or all that follow. Cycle 0 is the one in which the first start is
    taken, as in a trace."""

    first: int = 0
    count: int | None = None


@dataclass(frozen=True, kw_only=True)
class Records:
    """The files that a run leaves, each None where it is not wanted: the waveform `waves`, .fst or .vcd, with sessions
    beside it, the `trace`, and the page `viewer`. The waveform has the whole run, or its `window`."""

    waves: Path | None = None
    window: Window | None = None
    trace: Path | None = None
    viewer: Path | None = None

    @property
    def wanted(self) -> bool:
        return any(path is not None for path in (self.waves, self.trace, self.viewer))
