"""The viewer of the EIE array: its control unit and PEs, cycle by cycle (zeroskip.cosim.viewer.viewer)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from zeroskip.cosim.eie.models import run_models
from zeroskip.cosim.eie.trace import EieDecoder
from zeroskip.cosim.eie.viewer_arrays import arrays
from zeroskip.cosim.eie.viewer_pipeline import Pipelines
from zeroskip.cosim.waves.events import EventList
from zeroskip.cosim.waves.vcd import Cycle
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.network.run import run_stages
from zeroskip.model.network.stages import Stage

HERE = Path(__file__).parent

MOST_PE_CYCLES = 160_000
"""Cycles x PEs of the longest run: its page has some 8 MB."""


class EieViewer:
    clock = EieDecoder.clock
    parts: Sequence[Path] = (HERE / "viewer_array.css", HERE / "viewer_words.js", HERE / "viewer_array.js")

    def __init__(self, network: EieNetwork, inputs: NDArray[Any]) -> None:
        self._network, self._inputs = network, inputs
        self._decoder = EieDecoder(network.geometry)
        self._pipelines = Pipelines(network.geometry, self._decoder)
        self.signals: Sequence[str] = self._pipelines.signals
        self.most_cycles = MOST_PE_CYCLES // network.geometry.pes

    def cycles(self) -> int:
        network = self._network
        counted = 0

        def run_stage(stage: Stage, rows: NDArray[Any]) -> NDArray[Any]:
            nonlocal counted
            models = run_models(network, stage, rows)
            counted += int(models.cycles.sum())
            return models.outputs

        def run_host(index: int, given: list[NDArray[Any]]) -> NDArray[Any]:
            return network.run_host(index, given)[0]

        run_stages(network.stages, self._inputs, run_stage, run_host, network.run_cell)
        return counted

    def decode(self, cycles: Iterable[Cycle]) -> dict[str, NDArray[Any]]:
        events = EventList()
        self._decoder.decode(self._pipelines.watch(cycles), events)
        return arrays(self._network.geometry, events.events, self._pipelines.pes)

    def facts(self) -> dict[str, Any]:
        geometry = self._network.geometry
        return {
            "pes": geometry.pes,
            "entries": geometry.entries_per_word,
            "full": geometry.queue_full,
            "places": geometry.queue_places,
            "hops": geometry.hops,
            "layers": [[layer.inputs, layer.outputs] for layer in self._network.layers],
        }
