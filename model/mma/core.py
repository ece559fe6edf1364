"""The N:M tile's entry in the registry: the protocol of zeroskip.model.core."""

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
from zeroskip.model.mma import bundle, costs
from zeroskip.model.mma import network as golden
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.compiler import compile_network, rounded_to_zero
from zeroskip.model.mma.cycles import gemm_cycles
from zeroskip.model.mma.geometry import TileGeometry, mode_geometry
from zeroskip.model.mma.settings import MmaSettings
from zeroskip.model.mma.storage import stored_bits
from zeroskip.model.network.container import Container
from zeroskip.model.network.pattern import Pattern
from zeroskip.model.progress import Progress, Step, silent


@dataclass(frozen=True, kw_only=True, eq=False)
class MmaRun(Run):
    """`batches` (int64) are the numbers of images that went through the network together."""

    batches: NDArray[np.int64]


class MmaCore:
    name = "mma"
    title = CORES[name].title
    costs = CORES[name].costs
    geometry_type = TileGeometry
    settings_type = MmaSettings
    skips_single_zeros = False

    def compile(
        self,
        network: nn.Module,
        inputs: NDArray[np.float32],
        settings: MmaSettings,
        progress: Progress = silent,
    ) -> MmaNetwork:
        """Compiles a torch network; of `inputs` only the shape is used."""
        progress(Step(task="compiling"))
        return compile_network(network, inputs.shape[1:], settings.geometry)

    def save(self, network: MmaNetwork, path: Path) -> None:
        bundle.save(network, path)

    def from_container(self, container: Container) -> MmaNetwork:
        return bundle.from_container(container)

    def golden(self, network: MmaNetwork, inputs: NDArray[np.float32], *, saturate: bool = False) -> MmaRun:
        """Values beyond the tile's format become infinite and are counted, inputs too, whether or not `saturate`."""
        made = golden.run(network, _flat(inputs))
        size = golden.batch_size(network)
        return MmaRun(
            outputs=made.outputs,
            raw=made.outputs.view(np.uint32),
            saturated={"activations": made.overflows},
            batches=np.array([len(inputs[first : first + size]) for first in range(0, len(inputs), size)], np.int64),
        )

    def outputs(self, network: MmaNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return golden.run(network, _flat(inputs)).outputs

    def cycles(self, network: MmaNetwork, run: MmaRun) -> Cycles:
        """A batch are the images that the tile multiplies together."""
        by_layer = np.array(
            [
                [
                    gemm_cycles(network.geometry, layer.outputs, starts * count, layer.columns, dense=not layer.sparse)
                    for layer, starts in zip(network.layers, network.starts, strict=True)
                ]
                for count in run.batches.tolist()
            ],
            np.int64,
        )
        return Cycles(by_layer=by_layer, totals=by_layer.sum(axis=1), images=run.batches)

    def rounded_to_zero(self, network: MmaNetwork, source: nn.Module) -> int:
        return rounded_to_zero(source, network.geometry.dtype)

    def stored_bits(self, network: MmaNetwork) -> StoredBits:
        return stored_bits(network)

    def layer_facts(self, network: MmaNetwork) -> list[tuple[str, str]]:
        geometry = network.geometry
        rows = []
        for index, layer in enumerate(network.layers):
            how = str(geometry.pattern) if layer.sparse else "dense"
            padding = f", {layer.pad} columns of padding" if layer.pad else ""
            rows.append((f"layer {index}", f"{layer.outputs} x {layer.columns}, {how}{padding}"))
        return [*rows, ("tile", f"{geometry.m} x {geometry.n} x {geometry.k}, {geometry.dtype}, {geometry.generation}")]

    def search_geometry(self, pattern: str, sizes: Mapping[str, int]) -> TileGeometry:
        """An A100's fp16 arithmetic with sums in fp32."""
        nm = Pattern.parse(pattern)
        return mode_geometry(
            generation="A100",
            dtype="fp16",
            out="fp32",
            keep=nm.keep,
            group=nm.group,
            pair=nm.pair,
            **sizes,
        )

    def layer_cost(self, load: LayerLoad, geometry: TileGeometry) -> float:
        return costs.layer_cost(load, geometry)

    def network_cost(self, module: Any, inputs: NDArray[np.float32], geometry: TileGeometry) -> float:
        return costs.network_cost(module, inputs, geometry)

    def cost_points(self, geometry: TileGeometry) -> CostPoints:
        return costs.cost_points(geometry)

    def weight_bytes(self, density: float, channels: int, geometry: TileGeometry) -> float:
        return costs.weight_bytes(density, channels, geometry)


def _flat(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.ascontiguousarray(inputs.reshape(len(inputs), -1))


CORE = MmaCore()
