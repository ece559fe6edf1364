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

MOST_BYTES = 9_000_000
"""The size of the page's data of the longest run, if all blocks are different."""

CYCLE_BYTES, ENTRY_BYTES, COORDINATE_BYTES = 26, 6, 4
"""Bytes of a cycle, and of an entry of a block with each of its coordinates. Base64 has 4 for each 3."""


class MapperViewer:
    clock = "mapper_player.clk"
    signals: Sequence[str] = tuple(SIGNALS.values())
    parts: Sequence[Path] = (HERE / "viewer_streams.css", HERE / "viewer_words.js", HERE / "viewer_streams.js")

    def __init__(self, plan: LayerPlan) -> None:
        self._plan = plan
        geometry = plan.geometry
        entry = ENTRY_BYTES + COORDINATE_BYTES * (1 + geometry.dims)
        # In the mean as many blocks enter as leave, one a cycle.
        self.most_cycles = MOST_BYTES * 3 // 4 // (CYCLE_BYTES + 2 * geometry.width * entry)

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
