"""What the trace of the array leaves out and the viewer draws: the words with their entries, the weights, the sums."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from zeroskip.cosim.eie.trace import CONTROL, PE, STARTS, EieDecoder
from zeroskip.cosim.eie.waves import pe_path
from zeroskip.cosim.waves.decoder import since_start
from zeroskip.cosim.waves.fields import elements, fields, number
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.rtl.eie.decoder import operand_layout
from zeroskip.rtl.eie.layouts import entry_layout, word_layout

WRITTEN = "arithmetic.destination__write"
MORE = {
    "decoded": "decoder.o__valid",
    "operand": "decoder.o__payload",
    "written": f"{WRITTEN}__en",
    "row": f"{WRITTEN}__addr",
    "sum": f"{WRITTEN}__data",
}
"""Signals of a PE that the trace does not look at."""


@dataclass(frozen=True)
class Word:
    """A memory word in the cycle in which look-ahead takes it: entries (code, skip), and which are weights."""

    cycle: int
    first: bool
    entries: Sequence[tuple[int, int]]
    weights: int


@dataclass(frozen=True)
class PePipeline:
    """What a PE did: words, the weights that the decoder gave (cycle, weight), and sums written (cycle, row, sum)."""

    words: list[Word] = field(default_factory=list)
    weights: list[tuple[int, int]] = field(default_factory=list)
    sums: list[tuple[int, int, int]] = field(default_factory=list)


class Pipelines:
    """Watches the pipelines of all PEs on the way of the cycles to the decoder of the trace: both see the same."""

    def __init__(self, geometry: EieGeometry, decoder: EieDecoder) -> None:
        self.pes = [PePipeline() for _ in range(geometry.pes)]
        self._of_trace = len(decoder.signals)
        self.signals = [
            *decoder.signals,
            *(f"{pe_path(pe)}.{signal}" for pe in range(geometry.pes) for signal in MORE.values()),
        ]
        self._word, self._entry = fields(word_layout(geometry)), fields(entry_layout(geometry))
        self._entries = word_layout(geometry)["entries"]
        self._operand = fields(operand_layout(geometry))
        self._sum_bits = geometry.accumulator_bits

    def watch(self, cycles: Iterable[Cycle]) -> Iterator[Cycle]:
        """The values of the trace's signals, from the cycle in which the first start is taken."""
        for now, values in since_start(cycles, *STARTS):
            self._at(now, values)
            yield values[: self._of_trace]

    def _at(self, now: int, values: Cycle) -> None:
        for pe, made in enumerate(self.pes):
            place = len(CONTROL) + pe * len(PE)
            of_pe = dict(zip(PE, values[place : place + len(PE)], strict=True))
            if of_pe["arrives"] == 1 and of_pe["taken"] == 1:
                made.words.append(self._word_of(now, of_pe["word"]))
            place = self._of_trace + pe * len(MORE)
            more = dict(zip(MORE, values[place : place + len(MORE)], strict=True))
            if more["decoded"] == 1:
                made.weights.append((now, self._operand(more["operand"])["weight"]))
            if more["written"] == 1:
                made.sums.append((now, more["row"], number(more["sum"], 0, self._sum_bits, signed=True)))

    def _word_of(self, now: int, bits: int) -> Word:
        word = self._word(bits)
        entries = map(self._entry, elements(self._entries.shape, bits >> self._entries.offset))
        return Word(
            cycle=now,
            first=bool(word["first"]),
            entries=[(entry["code"], entry["skip"]) for entry in entries],
            weights=word["weights"],
        )
