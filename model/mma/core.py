"""The N:M tile's entry in the registry: the protocol of zeroskip.model.core."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.core import StoredBits
from zeroskip.model.cores import CORES
from zeroskip.model.mma import bundle
from zeroskip.model.mma.bundle import MmaNetwork
from zeroskip.model.mma.compiler import compile_network, rounded_to_zero, weight_losses
from zeroskip.model.mma.run_network import run
from zeroskip.model.mma.settings import MmaSettings
from zeroskip.model.mma.storage import stored_bits
from zeroskip.model.network.container import Container
from zeroskip.model.network.fold import fold
from zeroskip.model.network.losses import Loss
from zeroskip.model.network.samples import SampleForm
from zeroskip.model.progress import Progress, Step, silent


class MmaCore:
    name = "mma"
    title = CORES[name].title
    settings_type = MmaSettings

    def compile(
        self,
        network: nn.Module,
        inputs: NDArray[np.float32],
        settings: MmaSettings,
        progress: Progress = silent,
    ) -> MmaNetwork:
        """Compiles a torch network. `inputs` give the shape, the range for the file and the scale of activations, and
        some of them check what is compiled."""
        progress(Step(task="compiling"))
        folded = fold(network, inputs)
        compiled = compile_network(folded, inputs.shape[1:], settings.geometry, inputs=inputs, progress=progress)
        return dataclasses.replace(compiled, samples=SampleForm.of(inputs))

    def save(self, network: MmaNetwork, path: Path) -> None:
        bundle.save(network, path)

    def from_container(self, container: Container) -> MmaNetwork:
        return bundle.from_container(container)

    def outputs(self, network: MmaNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
        return self.outputs_and_losses(network, inputs)[0]

    def outputs_and_losses(
        self, network: MmaNetwork, inputs: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], list[Loss]]:
        result = run(network, np.ascontiguousarray(network.flat(inputs)))
        return result.outputs, result.losses

    def rounded_to_zero(self, network: MmaNetwork, source: nn.Module) -> int:
        return rounded_to_zero(source, network.geometry.dtype)

    def weight_losses(self, network: MmaNetwork, source: nn.Module) -> list[Loss]:
        return weight_losses(source, network.geometry.dtype)

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


CORE = MmaCore()
