"""Decodes what a waveform shows of a core into the events of a trace."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from zeroskip.cosim.waves.events import EventFile, Events
from zeroskip.cosim.waves.vcd import Cycle, cycles
from zeroskip.model.files import replacing


class Decoder(Protocol):
    """How the waveform of a core is read."""

    clock: str
    signals: Sequence[str]
    """The signals that are looked at in each cycle of the clock."""

    def decode(self, cycles: Iterable[Cycle], events: Events) -> None:
        """Writes the events of all cycles: the values of the signals, in their order. Cycle 0 is the one in which the
        first start is taken."""
        ...


def write_trace(path: Path, waveform: Path, decoder: Decoder, **about: object) -> None:
    """Writes the trace of a waveform in the format VCD; `about` is said in its head."""
    with replacing(path) as temporary, EventFile(temporary, **about) as events:
        decoder.decode(cycles(waveform, decoder.clock, decoder.signals), events)
