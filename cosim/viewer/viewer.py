"""What a core gives for the viewer of its cycles."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from numpy.typing import NDArray

from zeroskip.cosim.waves.vcd import Cycle

Arrays = Mapping[str, NDArray[Any]]


class Viewer(Protocol):
    """How the cycles of a run on a core are read out of the waveform, and drawn."""

    clock: str
    signals: Sequence[str]
    """The signals that are looked at in each cycle of the clock."""
    parts: Sequence[Path]
    """The drawing: scripts (.js) and styles (.css) that come after those of the page."""
    most_cycles: int
    """The longest run that the page takes."""

    def cycles(self) -> int:
        """The cycles that the page will show, by the models."""
        ...

    def decode(self, cycles: Iterable[Cycle]) -> Arrays:
        """What the drawing shows. Each array is read by its name."""
        ...

    def facts(self) -> Mapping[str, Any]:
        """What else the drawing needs, as JSON can hold it."""
        ...
