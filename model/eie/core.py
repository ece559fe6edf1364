"""The EIE array's entry in the registry: the protocol of zeroskip.model.core."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import nn

from zeroskip.model.core import StoredBits
from zeroskip.model.cores import CORES
from zeroskip.model.eie import bundle, golden
from zeroskip.model.eie.bundle import EieNetwork
from zeroskip.model.eie.compiler import compile_network, float_outputs, lower_shared, quantise_inputs, weight_losses
from zeroskip.model.eie.settings import EieSettings
from zeroskip.model.eie.shared import SharedOperation
from zeroskip.model.eie.sharing import share_layers, warn_of_rough_sharing
from zeroskip.model.eie.storage import storage
from zeroskip.model.network.container import Container
from zeroskip.model.network.fold import fold
from zeroskip.model.network.losses import Loss, input_loss
from zeroskip.model.network.samples import SampleForm
from zeroskip.model.progress import Progress, silent

CALIBRATION, LEAST = 5_000, 256
"""At most so many samples give the value range; fewer, but LEAST, where they would take too long."""

MULTIPLICATIONS = 1 << 34
"""Of the samples that give the value range, together: some ten seconds."""


class EieCore:
    name = "eie"
    title = CORES[name].title
    settings_type = EieSettings

    def compile(
        self,
        network: nn.Module | list[SharedOperation],
        inputs: NDArray[np.float32],
        settings: EieSettings,
        progress: Progress = silent,
    ) -> EieNetwork:
        """Compiles a torch network, whose weights are shared first where a layer has more than 15 distinct ones, or one
        whose weights are shared already. The first inputs, CALIBRATION or fewer, choose the fraction bits."""
        if isinstance(network, nn.Module):
            folded = fold(network, inputs)
            network = share_layers(folded, progress, inputs=inputs)
            warn_of_rough_sharing(folded, network)
        compiled = compile_network(
            network,
            inputs[: _calibration(network, inputs.shape[1:])],
            settings.geometry,
            fit=settings.fit,
            balance_load=settings.balance_load,
            positions=settings.positions,
            progress=progress,
        )
        return dataclasses.replace(compiled, samples=SampleForm.of(inputs))

    def save(self, network: EieNetwork, path: Path) -> None:
        bundle.save(network, path)

    def from_container(self, container: Container) -> EieNetwork:
        return bundle.from_container(container)

    def outputs(self, network: EieNetwork, inputs: NDArray[np.float32]) -> NDArray[np.float64]:
        return self.outputs_and_losses(network, inputs)[0]

    def outputs_and_losses(
        self, network: EieNetwork, inputs: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], list[Loss]]:
        quantised, clipped = quantise_inputs(network, inputs, saturate=True)
        outputs, losses = golden.outputs_and_losses(network, quantised)
        return float_outputs(network, outputs), [input_loss(network.flat(inputs), quantised, clipped), *losses]

    def rounded_to_zero(self, network: EieNetwork, source: Any) -> int:
        return sum(loss.to_zero for loss in self.weight_losses(network, source))

    def weight_losses(self, network: EieNetwork, source: Any) -> list[Loss]:
        """Biases too; the codes in the memory images show which weights were kept, so `source` is not needed."""
        return weight_losses(network)

    def stored_bits(self, network: EieNetwork) -> StoredBits:
        stored = storage(network)
        return StoredBits(dense=stored.dense, image=stored.image)

    def layer_facts(self, network: EieNetwork) -> list[tuple[str, str]]:
        facts = [("PEs", str(network.geometry.pes))]
        if max(network.starts) > 1 or max(network.together) > 1:
            facts.append(("positions in a start", ", ".join(map(str, network.together))))
        return facts


def _calibration(network: Sequence[SharedOperation], shape: tuple[int, ...]) -> int:
    """How many samples of `shape` give the value range."""
    stages, layers = lower_shared(network, shape)
    work = sum(stage.starts * layers[row].matrix_codes.size for stage in stages for row in stage.layers)
    return min(CALIBRATION, max(LEAST, MULTIPLICATIONS // work))


CORE = EieCore()
