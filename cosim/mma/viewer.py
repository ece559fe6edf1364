"""The viewer of the N:M tile: its steps, selectors and sums, cycle by cycle (zeroskip.cosim.viewer.viewer)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zeroskip.cosim.mma.trace import MmaDecoder
from zeroskip.cosim.mma.viewer_arrays import TileRun, TileSignals
from zeroskip.cosim.mma.viewer_plan import PlannedJob
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.mma.geometry import TileGeometry
from zeroskip.model.mma.numerics import IntFormat
from zeroskip.rtl.mma.layouts import timing

HERE = Path(__file__).parent

MOST_VALUES = 1_600_000
"""Values chosen and sums written in the longest run, if each cycle is a step: its page has some 9 MB at most."""


class TileViewer:
    clock = MmaDecoder.clock
    parts: Sequence[Path] = (
        HERE / "viewer_tile.css",
        HERE / "viewer_selection.js",
        HERE / "viewer_words.js",
        HERE / "viewer_tile.js",
    )

    def __init__(self, geometry: TileGeometry, plan: Sequence[PlannedJob]) -> None:
        self._geometry, self._plan = geometry, plan
        self._signals = TileSignals(geometry)
        self.signals = self._signals.names
        # Of each unit k values, with the number of their word, and a sum.
        self.most_cycles = MOST_VALUES // (geometry.m * geometry.n * (geometry.k + 2))

    def cycles(self) -> int:
        return sum(job.cycles(self._geometry) for job in self._plan)

    def decode(self, cycles: Iterable[Cycle]) -> dict[str, NDArray[Any]]:
        run = TileRun(self._geometry, self._signals)
        run.watch(cycles)
        return run.arrays()

    def facts(self) -> dict[str, Any]:
        geometry, pattern, times = self._geometry, self._geometry.pattern, timing(self._geometry)
        return {
            **{name: getattr(geometry, name) for name in ("m", "n", "k", "keep", "group", "pair", "dtype", "out")},
            "generation": geometry.generation,
            "integers": isinstance(geometry.operand, IntFormat),
            "pattern": str(pattern),
            "halves": pattern.halves,
            "index_bits": pattern.index_bits,
            "code_bits": pattern.code_bits,
            "stages": times.stages,
            "take": times.take,
            "slots": times.slots,
            "jobs": [job.facts() for job in self._plan],
        }
