"""Decodes what a waveform shows of a core into the events of a trace."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
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
    begins: Sequence[str]
    """The signals that are all high where a start is taken."""

    def decode(self, cycles: Iterable[Cycle], events: Events) -> None:
        """Writes the events of all cycles: the values of the signals, in their order. Cycle 0 is the one in which the
        first start is taken."""
        ...


def since_start(cycles: Iterable[Cycle], *offers: int) -> Iterator[tuple[int, Cycle]]:
    """The cycles with their numbers, from the one in which the first start is taken: there the signals at the places
    `offers` are all high."""
    begun = False
    now = 0
    for values in cycles:
        begun = begun or all(values[place] == 1 for place in offers)
        if begun:
            yield now, values
            now += 1


def write_trace(path: Path, waveform: Path, decoder: Decoder, **about: object) -> None:
    """Writes the trace of a waveform in the format VCD; `about` is said in its head."""
    with replacing(path) as temporary, EventFile(temporary, **about) as events:
        decoder.decode(cycles(waveform, decoder.clock, decoder.signals), events)
