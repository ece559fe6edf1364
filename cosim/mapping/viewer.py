"""The viewer of the mapping unit: its streams, cycle by cycle (zeroskip.cosim.viewer.viewer)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zeroskip.cosim.mapping.viewer_arrays import SIGNALS, MapperRun
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.mapping.layer import LayerPlan

HERE = Path(__file__).parent

MOST_KEYS = 160_000
"""Cycles x width of the longest run: its page has some 8 MB."""


class MapperViewer:
    clock = "mapper_player.clk"
    signals: Sequence[str] = tuple(SIGNALS.values())
    parts: Sequence[Path] = (HERE / "viewer_streams.css", HERE / "viewer_words.js", HERE / "viewer_streams.js")

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        self.most_cycles = MOST_KEYS // plan.geometry.width

    def cycles(self) -> int:
        """With the cycle of each job's done, in which its last values leave."""
        return sum(self._plan.cycles) + len(self._plan.cycles)

    def decode(self, cycles: Iterable[Cycle]) -> dict[str, NDArray[Any]]:
        run = MapperRun(self._plan.geometry)
        run.watch(cycles)
        return run.arrays()

    def facts(self) -> dict[str, Any]:
        plan = self._plan
        names = ["the points"] if len(plan.sorts) == 1 else ["the inputs", "the outputs"]
        return {
            "width": plan.geometry.width,
            "dims": plan.geometry.dims,
            "offsets": plan.offsets.tolist(),
            "sorts": names,
            "first_offsets": [part.start for part in plan.maps],
        }
