"""The EIE array's entry in the registry: the protocol of zeroskip.model.core."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.core import CostPoints, Cycles, LayerLoad, Run, StoredBits
from zeroskip.model.cores import CORES
from zeroskip.model.eie import bundle, costs, cycles, golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, float_outputs, lost_weights, quantise_inputs
from zeroskip.model.eie.geometry import EieGeometry
from zeroskip.model.eie.settings import EieSettings
from zeroskip.model.eie.shared import SharedOperation
from zeroskip.model.eie.sharing import share_layers
from zeroskip.model.eie.storage import storage
from zeroskip.model.network.container import Container
from zeroskip.model.network.fold import fold
from zeroskip.model.progress import Progress, silent

CALIBRATION = 5_000
"""Samples at most that say how large values get."""


@dataclass(frozen=True, kw_only=True, eq=False)
class EieRun(Run):
    """`inputs` (int16, images x values) are the activations that the first stage takes; `layers` what each layer took
    and gave."""

    inputs: NDArray[np.int16]
    layers: list[golden.LayerRun]


class EieCore:
    name = "eie"
    title = CORES[name].title
    costs = CORES[name].costs
    geometry_type = EieGeometry
    settings_type = EieSettings
    skips_single_zeros = True

    def compile(
        self,
        network: nn.Module | list[SharedOperation],
        inputs: NDArray[np.float32],
        settings: EieSettings,
        progress: Progress = silent,
    ) -> EieNetwork:
        """Compiles a torch network, whose weights are shared first where a layer has more than 15 distinct ones, or one
        whose weights are shared already. The first CALIBRATION inputs choose the fraction bits."""
        if isinstance(network, nn.Module):
            network = share_layers(fold(network), progress)
        return compile_network(
            network,
            inputs[:CALIBRATION],
            settings.geometry,
            fit=settings.fit,
            balance_load=settings.balance_load,
            progress=progress,
        )

    def save(self, network: EieNetwork, path: Path) -> None:
        bundle.save(network, path)

    def from_container(self, container: Container) -> EieNetwork:
        return bundle.from_container(container)

    def golden(self, network: EieNetwork, inputs: NDArray[np.float32], *, saturate: bool = False) -> EieRun:
        quantised, clipped = quantise_inputs(network, inputs, saturate=saturate)
        layers = golden.run(network, quantised)
        raw = golden.results(network, layers)
        return EieRun(
            outputs=float_outputs(network, raw),
            raw=raw,
            saturated={
                "sums": sum(int(layer.saturated_sums.sum()) for layer in layers),
                "outputs": sum(int(layer.saturated_outputs.sum()) for layer in layers),
            },
            clipped_inputs=clipped,
            inputs=quantised,
            layers=layers,
        )

    def outputs(self, network: EieNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        quantised, _ = quantise_inputs(network, inputs, saturate=True)
        return float_outputs(network, golden.outputs(network, quantised))

    def cycles(self, network: EieNetwork, run: EieRun) -> Cycles:
        """A batch is one image."""
        by_layer = cycles.run(network, [layer.inputs for layer in run.layers])
        return Cycles(
            by_layer=by_layer,
            totals=by_layer.sum(axis=1) + cycles.START_TO_DONE * network.starts_per_image,
            images=np.ones(len(by_layer), np.int64),
        )

    def rounded_to_zero(self, network: EieNetwork, source: Any) -> int:
        """Biases too; the codes in the memory images tell which weights were kept, so `source` is not needed."""
        return lost_weights(network)

    def stored_bits(self, network: EieNetwork) -> StoredBits:
        stored = storage(network)
        return StoredBits(dense=stored.dense, image=stored.image)

    def layer_facts(self, network: EieNetwork) -> list[tuple[str, str]]:
        return [("PEs", str(network.geometry.pes))]

    def search_geometry(self, pattern: str, sizes: Mapping[str, int]) -> EieGeometry:
        return EieGeometry(**sizes)

    def layer_cost(self, load: LayerLoad, geometry: EieGeometry) -> float:
        return costs.layer_cost(load, geometry)

    def network_cost(self, module: Any, inputs: NDArray[np.float32], geometry: EieGeometry) -> float:
        return costs.network_cost(module, inputs, geometry)

    def cost_points(self, geometry: EieGeometry) -> CostPoints:
        return costs.cost_points(geometry)

    def weight_bytes(self, density: float, channels: int, geometry: EieGeometry) -> float:
        return costs.weight_bytes(density, channels, geometry)


CORE = EieCore()
