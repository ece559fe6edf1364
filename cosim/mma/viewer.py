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

MOST_BYTES = 9_000_000
"""The size of the page's data of the longest run, if each cycle is a step with operands of its own."""

CYCLE_BYTES, STEP_BYTES, WORD_BYTES = 22, 16, 4
"""Bytes of a cycle, of a step, and of each of its values, numbers of words and sums. Base64 has 4 for each 3."""


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
        words = (
            geometry.m * geometry.n * (geometry.k + 2)  # values chosen, the number of their word, and a sum
            + geometry.m * (geometry.k + 1 + geometry.groups + 1)
            + geometry.n * (geometry.window + 1)
        )
        self.most_cycles = MOST_BYTES * 3 // 4 // (CYCLE_BYTES + STEP_BYTES + WORD_BYTES * words)

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
